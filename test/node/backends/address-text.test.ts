import { resolve } from "node:path";
import { describe, expect, test } from "vitest";
import { decodePercent, parsePath, parsePrefixedUrl } from "../../../src/node/backends/address-text.ts";
import { UsageError } from "../../../src/node/usage-error.ts";

/** Splits an address at the first colon. */
function split(text: string) {
  const colon = text.indexOf(":");
  return { text, scheme: text.slice(0, colon), rest: text.slice(colon + 1) };
}

describe("a path", () => {
  test.each([
    ["file:/a b/%20", "/a b/%20"],
    ["file:/data/../x/", "/x"],
    ["file:relative", resolve("relative")],
    ["file:./a//b", resolve("a/b")],
    ["file:///a%20b", "/a b"],
    ["file:////a", "/a"],
    ["file:/", "/"],
  ])("of %s is %s", (text, path) => {
    expect(parsePath(split(text))).toBe(path);
  });

  test.each(["file:", "file://", "file://host", "file://host/data", "file:///%", "file:///%00", "file:a\0b"])(
    "is not in %j",
    (text) => {
      expect(() => parsePath(split(text))).toThrow(UsageError);
    },
  );

  test("after a host gets a hint to the right form", () => {
    expect(() => parsePath(split("file://data/x"))).toThrow("write file:///PATH");
  });
});

describe("a prefixed URL", () => {
  test.each([
    ["grpc+http://Host:80/", "http://host/"],
    ["grpc+https://host:443/a?b=c", "https://host/a?b=c"],
    ["grpc+http://[::1]:8000", "http://[::1]:8000/"],
  ])("of %s is %s", (text, url) => {
    expect(parsePrefixedUrl(split(text), "grpc+")?.href).toBe(url);
  });

  test.each([
    "grpc+http:",
    "grpc+http:host",
    "grpc+http:/host",
    "grpc+http://",
    "grpc+http://host:99999",
    "grpc+http://host#x",
    "grpc+http://user@host",
    "grpc+http://user:secret@host",
    "grpc+http://:secret@host",
  ])("is not in %s", (text) => {
    expect(parsePrefixedUrl(split(text), "grpc+")).toBeUndefined();
  });
});

test("percent-encoding is decoded, or refused with the address", () => {
  expect(decodePercent("x:%41", "%41%C3%A4+")).toBe("Aä+");
  for (const encoded of ["%", "%4", "%zz", "%ff"]) expect(() => decodePercent("x:%", encoded)).toThrow(UsageError);
  expect(() => decodePercent("x:%", "%")).toThrow("x:%");
});
