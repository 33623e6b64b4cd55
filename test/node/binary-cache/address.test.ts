import { expect, test } from "vitest";
import { pathSegments } from "../../../src/node/binary-cache/address.ts";
import { HELLO, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test("addresses are percent-decoded", async () => {
  const log = `${HELLO}-hello+world-1.0?x.drv`;
  const encoded = `/log/${encodeURIComponent(log)}`;
  expect(encoded).toContain("%2B");
  expect((await ask("PUT", encoded, { body: "built\n" })).status).toBe(201);
  // Nix does not encode the question mark.
  for (const path of [
    encoded,
    `/%6c%6Fg/${encodeURIComponent(log)}`,
    `/log/${log.replace("?", "%3f")}`,
    `/log/${log}`,
    `${encoded}?x=1`,
  ])
    expect((await ask("GET", path)).body.toString()).toBe("built\n");
  await cache.addHello();
  expect((await ask("GET", `/${HELLO.replace("m", "%6D")}.narinfo`)).status).toBe(200);
  expect((await ask("GET", "/nix%2Dcache%2dinfo")).status).toBe(200);
  // An encoded slash is part of a name. An address is decoded only once.
  for (const path of [`/log%2F${log}`, "/nix%252Dcache-info", "/%ff%fe", "/nix-cache-inf%6", "nix-cache-info"])
    expect([path, (await ask("GET", `/x/..${path}`)).status]).toEqual([path, 418]);
});

test.each<[string, string[] | undefined]>([
  ["/", [""]],
  ["/a/b", ["a", "b"]],
  ["/a/", ["a", ""]],
  ["//a", ["", "a"]],
  ["/a?b/c", ["a"]],
  ["/a#b?c", ["a"]],
  ["/%61%2Fb/c+d", ["a/b", "c+d"]],
  ["/%2561", ["%61"]],
  ["/%C3%A4", ["ä"]],
  ["/%ff", undefined],
  ["/%6", undefined],
  ["", undefined],
  ["a/b", undefined],
  ["*", undefined],
  ["http://host/a", undefined],
])("%s has the segments %j", (url, segments) => {
  expect(pathSegments(url)).toEqual(segments);
});
