import { expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { linkTarget, showTarget } from "../../src/elements/link-target.ts";
import { storePathOf } from "./fake-store.browser.ts";

const HERE = storePathOf("here");
const THERE = storePathOf("there");

/** Where a link leads: `store path!path within it`. */
function leads(path: string, target: string | Uint8Array): string | undefined {
  const targetBytes = typeof target === "string" ? utf8(target) : target;
  const route = linkTarget(HERE, utf8(path), { targetBytes });
  return route && `${route.storePath}!${new TextDecoder().decode(route.path)}`;
}

test.each([
  ["bin/link", "tool", `${HERE}!bin/tool`],
  ["bin/link", "./tool", `${HERE}!bin/tool`],
  ["bin/link", "../share//doc/", `${HERE}!share/doc`],
  ["link", "dir/../..", undefined],
  ["bin/link", "..", `${HERE}!`],
  ["link", `../${THERE.slice(11)}/lib/x`, `${THERE}!lib/x`],
  ["link", THERE, `${THERE}!`],
  ["link", `${THERE}/lib/../bin`, `${THERE}!bin`],
  ["link", `//nix//store/${THERE.slice(11)}`, `${THERE}!`],
])("of %s to %s: %s", (path, target, route) => {
  expect(leads(path, target)).toBe(route);
});

test.each([
  "/etc/passwd",
  "/nix/store",
  "/nix/store/not-a-store-path",
  "../../../etc",
  "/",
  "../../../../../../../..",
  `/nix/other/${THERE.slice(11)}`,
  `/nix/store/${THERE.slice(11)}/../../../etc`,
])("out of the store leads nowhere: %s", (target) => {
  expect(leads("link", target)).toBeUndefined();
});

test("of the root of a store path is relative to the store", () => {
  expect(leads("", THERE.slice(11))).toBe(`${THERE}!`);
  expect(leads("", "x")).toBeUndefined();
});

test("keeps bytes that are not UTF-8, and shows them with escapes", () => {
  const target = concatBytes([utf8("a"), new Uint8Array([0xff]), utf8("\u202e")]);
  expect(linkTarget(HERE, utf8("link"), { targetBytes: target })?.path).toEqual(target);
  expect(showTarget({ targetBytes: target })).toBe("a\\xff\\u{202e}");
  expect([showTarget({}), linkTarget(HERE, utf8("file"), {})]).toEqual(["", undefined]);
});
