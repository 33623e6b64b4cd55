import { describe, expect, it } from "vitest";
import { deriveName, nameFault } from "../../src/elements/source-name.ts";

describe("deriveName", () => {
  it.each([
    ["hello-1.0.tar.gz", "hello-1.0"],
    ["hello-1.0.tgz", "hello-1.0"],
    ["hello.nar.xz", "hello"],
    ["hello.nar", "hello"],
    ["5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello-1.0.nar", "hello-1.0"],
    ["my site (2)", "my-site-2"],
    ["Grüße.tar", "Gru-e"],
    [".config", "config"],
    ["日本語", "source"],
    ["x".repeat(300), "x".repeat(211)],
  ])("%s gives %s", (file, name) => {
    expect(deriveName(file)).toBe(name);
    expect(nameFault(name)).toBeUndefined();
  });
});

describe("nameFault", () => {
  it.each(["", "a b", "a/b", "é", "x".repeat(212)])("refuses %j", (name) => {
    expect(nameFault(name)).toBeTypeOf("string");
  });
});
