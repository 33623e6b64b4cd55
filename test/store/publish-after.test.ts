import { expect, test } from "vitest";
import { MemoryPathInfoService } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { PathInfoService } from "../../src/store/path-info-service.ts";
import { publishAfter } from "../../src/store/publish-after.ts";

const HASH_PART = "1".repeat(32);
const INFO: PathInfo = {
  storePath: `/nix/store/${HASH_PART}-p`,
  node: { kind: "symlink", target: utf8("t") },
  narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  narSize: 120,
  references: [],
  signatures: [],
};

async function listed(pathInfos: PathInfoService): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of pathInfos.list()) infos.push(info);
  return infos;
}

test("a path info is put once the wait is over", async () => {
  const stored = new MemoryPathInfoService();
  let release = (): void => {};
  const pathInfos = publishAfter(
    stored,
    () =>
      new Promise((resolve) => {
        release = resolve;
      }),
  );
  const putting = pathInfos.put(INFO);
  await Promise.resolve();
  expect(await stored.get(HASH_PART)).toBeUndefined();
  release();
  expect(await putting).toEqual(INFO);
  expect(await pathInfos.get(HASH_PART)).toEqual(INFO);
  expect(await listed(pathInfos)).toEqual([INFO]);
});

test("nothing is put if the wait fails, or if the call is aborted meanwhile", async () => {
  const stored = new MemoryPathInfoService();
  const failure = new Error("the flush failed");
  await expect(publishAfter(stored, () => Promise.reject(failure)).put(INFO)).rejects.toBe(failure);
  const controller = new AbortController();
  const reason = new Error("enough");
  const aborting = publishAfter(stored, async () => controller.abort(reason));
  await expect(aborting.put(INFO, { signal: controller.signal })).rejects.toBe(reason);
  expect(await listed(stored)).toEqual([]);
  // Without a signal, nothing ends the call.
  expect(await aborting.put(INFO, {})).toEqual(INFO);
});

test("a path can be deleted only if the service can delete", async () => {
  const stored = new MemoryPathInfoService();
  await stored.put(INFO);
  const wrapped = publishAfter(stored, async () => {});
  expect([await wrapped.delete(HASH_PART), await wrapped.delete(HASH_PART)]).toEqual([true, false]);
  const remote: PathInfoService = { get: async () => undefined, list: () => stored.list(), put: async (info) => info };
  expect(publishAfter(remote, async () => {})).not.toHaveProperty("delete");
});
