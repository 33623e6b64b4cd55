import { describe, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { writePacked } from "../../src/worker/packed-services.ts";
import { deletePin, importBlob, pinStorePath } from "../../src/worker/pins.ts";
import type { WriteSession } from "../../src/worker/write-session.ts";
import { CHUNK, engine, failure, has, type MemoryStore, memoryStore, pathInfo, putPathInfos, text } from "./memory-store.ts";

const INFO = pathInfo("a", text("a").node);
const pins = ({ database }: MemoryStore): unknown[] => database.rows("pins").map(([, pin]) => pin);

describe("a store path", () => {
  test("is pinned by its node, and a second pin of the same name replaces the first", async () => {
    const world = memoryStore();
    const other = pathInfo("b", text("b").node);
    await putPathInfos(world, INFO, other);
    await pinStorePath(world.store, "pin", INFO.storePath);
    expect(pins(world)).toEqual([{ name: "pin", node: INFO.node }]);
    await pinStorePath(world.store, "pin", other.storePath);
    expect(pins(world)).toEqual([{ name: "pin", node: other.node }]);
    // A collection that began before has to notice both.
    expect(await world.store.count("roots")).toBe(2);
  });

  test.each([
    ["an empty name", "", INFO.storePath, "invalid"],
    ["a name that is no text", 7 as never, INFO.storePath, "invalid"],
    ["no store path", "pin", "/nix/store/short", "invalid"],
    ["a path that is not in the store", "pin", pathInfo("b", INFO.node).storePath, "not-found"],
  ])("can't be pinned with %s", async (_, name, storePath, code) => {
    const world = memoryStore();
    await putPathInfos(world, INFO);
    expect(await failure(pinStorePath(world.store, name, storePath))).toBe(code);
    expect(pins(world)).toEqual([]);
    expect(await world.store.count("roots")).toBe(0);
  });
});

test("deleting a pin tells whether it existed", async () => {
  const world = memoryStore();
  await putPathInfos(world, INFO);
  await pinStorePath(world.store, "pin", INFO.storePath);
  expect(await deletePin(world.store, "other")).toBe(false);
  expect(await deletePin(world.store, "pin")).toBe(true);
  expect(await deletePin(world.store, "pin")).toBe(false);
  expect(pins(world)).toEqual([]);
});

describe("a blob", () => {
  const parts = [utf8("one"), utf8("two")];
  async function* source(parts: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
    yield* parts;
  }
  const put = (world: MemoryStore, from: AsyncIterable<Uint8Array>, pin = "pin", reuse?: (buffer: ArrayBuffer) => void) =>
    writePacked(world.store, engine, { durability: "strict" }, ({ blobs }, session) =>
      importBlob(blobs, session, from, pin, { reuse }),
    );

  test("is committed together with its pin", async () => {
    const world = memoryStore();
    const node = await put(world, source(parts));
    expect(node).toEqual({ kind: "file", digest: digestOf(concatBytes(parts)), size: 6n, executable: false });
    expect(pins(world)).toEqual([{ name: "pin", node }]);
    expect(await world.store.read(CHUNK, [node.digest])).toEqual([utf8("onetwo")]);
    expect(await world.store.count("roots")).toBe(1);
  });

  test("gives whole buffers back, and no views of a larger one", async () => {
    const given: ArrayBuffer[] = [];
    const [whole, view] = [utf8("whole").slice(), new Uint8Array(10).subarray(5)];
    await put(memoryStore(), source([whole, view]), "pin", (buffer) => given.push(buffer));
    expect(given).toEqual([whole.buffer]);
  });

  test("whose source fails leaves nothing", async () => {
    const world = memoryStore();
    const problem = new Error("the source failed");
    const failing = (async function* () {
      yield utf8("one");
      throw problem;
    })();
    await expect(put(world, failing)).rejects.toBe(problem);
    expect(pins(world)).toEqual([]);
    expect(has(world, text("one"))).toBe(false);
  });

  test("that can't be committed ends its writer with the error", async () => {
    const { blobs } = createMemoryStore();
    const create = blobs.create.bind(blobs);
    const reasons: unknown[] = [];
    blobs.create = async (options) => {
      const writer = await create(options);
      writer.abort = async (reason) => void reasons.push(reason);
      return writer;
    };
    const problem = new Error("the commit failed");
    const session = { commit: () => Promise.reject(problem) } as unknown as WriteSession;
    await expect(importBlob(blobs, session, source(parts), "pin", {})).rejects.toBe(problem);
    expect(reasons).toEqual([problem]);
  });

  test("needs a name, before anything is read", async () => {
    const world = memoryStore();
    const next = vi.fn();
    expect(await failure(put(world, { [Symbol.asyncIterator]: () => ({ next }) }, ""))).toBe("invalid");
    expect(next).not.toHaveBeenCalled();
  });
});
