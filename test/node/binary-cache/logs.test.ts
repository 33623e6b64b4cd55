import { expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { derivationName, logName, receiveLog } from "../../../src/node/binary-cache/logs.ts";
import { CacheUploads, memoryRecords } from "../../../src/node/binary-cache/uploads.ts";
import { HELLO, TestCache } from "../test-cache.ts";

const cache = TestCache.forEachTest();

const ask: TestCache["ask"] = (...request) => cache.ask(...request);

test("a build log is kept", async () => {
  const path = `/log/${HELLO}-hello.drv`;
  expect((await ask("PUT", path, { body: "built\n" })).status).toBe(201);
  const { status, headers, body } = await ask("GET", path);
  expect([status, headers["content-length"], body.toString()]).toEqual([200, "6", "built\n"]);
  expect((await ask("PUT", `/log/${HELLO}-hello`, { body: "built\n" })).status).toBe(400);
  // Nix requests a log by the base name. An absolute path is refused.
  const absolute = `/log/${encodeURIComponent(`/nix/store/${HELLO}-hello.drv`)}`;
  for (const method of ["PUT", "GET"]) expect((await ask(method, absolute)).status).toBe(400);
});

test("a log whose content is gone is not found", async () => {
  const uploads = new CacheUploads(memoryRecords());
  await cache.start({ uploads });
  const path = `/log/${HELLO}-hello.drv`;
  expect((await ask("PUT", path, { body: "built\n" })).status).toBe(201);
  cache.store = createMemoryStore();
  await cache.start({ uploads });
  expect((await ask("GET", path)).status).toBe(404);
});

test.each([
  ["x.drv", "/log/x.drv", "x.drv"],
  ["x.drv", "/log/x.drv?y", "x.drv"],
  ["x", "/log/x?y.drv", "x?y.drv"],
  ["x", "/log/x?y%2B%20z.drv", "x?y+ z.drv"],
  ["x", "/log/x?y%.drv", "x?y%.drv"],
  ["x", "/log/x", "x"],
])("the segment %s of %s names the log %s", (segment, url, name) => {
  expect(logName(segment, url)).toBe(name);
});

test.each([
  [`${HELLO}-hello.drv`, true],
  [`${HELLO}-a?b+c.drv`, true],
  [`/nix/store/${HELLO}-hello.drv`, false],
  [`${HELLO}-hello`, false],
  [`${HELLO}-a/b.drv`, false],
  [`${HELLO}-a b.drv`, false],
  [`${HELLO}.drv`, false],
  ["hello.drv", false],
  ["", false],
])("%j is a derivation's base name: %s", (text, expected) => {
  if (expected) expect(derivationName(text)).toBe(text);
  else expect(() => derivationName(text)).toThrow(expect.objectContaining({ name: "StoreError", code: "invalid" }));
});

test("an upload that fails leaves no blob", async () => {
  const { blobs } = createMemoryStore();
  const aborted: unknown[] = [];
  const failure = new Error("the client has gone");
  const watched = {
    ...{ stat: blobs.stat.bind(blobs), open: blobs.open.bind(blobs) },
    ...{ putMany: blobs.putMany.bind(blobs), readMany: blobs.readMany.bind(blobs) },
    create: async () => {
      const writer = await blobs.create();
      const abort = writer.abort.bind(writer);
      writer.abort = async (reason) => {
        aborted.push(reason);
        await abort(reason);
      };
      return writer;
    },
  };
  const broken = async function* () {
    yield utf8("built");
    throw failure;
  };
  const castore = { ...createMemoryStore(), blobs: watched };
  await expect(receiveLog(castore, broken(), new AbortController().signal)).rejects.toBe(failure);
  expect(aborted).toEqual([failure]);
});
