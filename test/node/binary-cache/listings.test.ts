import { expect, test } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { type Directory, makeDirectory } from "../../../src/castore/directory.ts";
import { directoryNode } from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { listNar, narListingToJson } from "../../../src/nix/nar-listing.ts";
import { HELLO, narOf, once1, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

/** Publishes a path with this root, and returns the address of its listing. */
async function publish(root: Directory): Promise<string> {
  await cache.store.pathInfos.put({
    storePath: `/nix/store/${"a".repeat(32)}-tree`,
    node: directoryNode(root, "documented"),
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 1,
    references: [],
    signatures: [],
  });
  return `/${"a".repeat(32)}.ls`;
}

const link: Node = { kind: "symlink", target: utf8("t") };

test("equals the listing of the NAR, and has its length and a tag", async () => {
  await cache.addHello();
  const { status, headers, body } = await cache.ask("GET", `/${HELLO}.ls`);
  expect([status, headers["content-type"]]).toEqual([200, "application/json"]);
  expect(body.toString()).toBe(narListingToJson(await listNar(once1(narOf(HELLO)))));
  expect(headers["content-length"]).toBe(String(body.length));
  const head = await cache.ask("HEAD", `/${HELLO}.ls`);
  expect([head.status, head.headers["content-length"], head.headers.etag]).toEqual([200, String(body.length), headers.etag]);
  const again = await cache.ask("GET", `/${HELLO}.ls`, { headers: { "if-none-match": String(headers.etag) } });
  expect([again.status, again.headers.etag]).toEqual([304, headers.etag]);
});

test("is refused as a whole if a directory is missing, or one of many names can't be written", async () => {
  const many = Array.from({ length: 5000 }, (_, i) => ({ name: utf8(`a${i}-${"x".repeat(50)}`), node: link }));
  const root = makeDirectory([...many, { name: Uint8Array.of(0xff), node: link }]);
  const address = await publish(root);
  expect((await cache.ask("GET", address)).status).toBe(404);
  await cache.store.directories.put([root]);
  expect((await cache.ask("GET", address)).status).toBe(400);
});
