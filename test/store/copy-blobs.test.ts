import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import type { BlobService, BlobWriter } from "../../src/castore/blob-service.ts";
import { digestKey, digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { FileNode } from "../../src/castore/node.ts";
import { BlobCopier, type BlobCopierOptions } from "../../src/store/copy-blobs.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { failure } from "./fixtures.ts";

const MIB = 1024 * 1024;
const fileOf = (content: Uint8Array, size = content.length): FileNode => ({
  kind: "file",
  digest: digestOf(content),
  size: BigInt(size),
  executable: false,
});
const small = (i: number, length = 10): Uint8Array => pseudoRandom(length, i + 1);
const LARGE = pseudoRandom(MIB + 1, 99);

/** A service in memory that records its calls. */
class Blobs implements BlobService {
  readonly inner = createMemoryStore().blobs;
  readonly calls: string[] = [];
  aborts: unknown[] = [];
  #note(call: string): void {
    this.calls.push(call);
  }
  stat(...args: Parameters<BlobService["stat"]>) {
    this.#note(`stat ${args[0].length}`);
    return this.inner.stat(...args);
  }
  open(...args: Parameters<BlobService["open"]>) {
    this.#note("open");
    return this.inner.open(...args);
  }
  readMany(...args: Parameters<BlobService["readMany"]>) {
    this.#note(`readMany ${args[0].length}`);
    return this.inner.readMany(...args);
  }
  putMany(...args: Parameters<BlobService["putMany"]>) {
    this.#note(`putMany ${args[0].length}`);
    return this.inner.putMany(...args);
  }
  async create(...args: Parameters<BlobService["create"]>): Promise<BlobWriter> {
    this.#note("create");
    const writer = await this.inner.create(...args);
    return {
      write: (bytes) => writer.write(bytes),
      close: () => writer.close(),
      abort: async (reason) => {
        this.aborts.push(reason);
        await writer.abort(reason);
      },
    };
  }
  /** Puts contents without a record. */
  async fill(...contents: Uint8Array[]): Promise<void> {
    for (const content of contents) {
      const writer = await this.inner.create();
      await writer.write(content);
      await writer.close();
    }
  }
  async has(content: Uint8Array): Promise<boolean> {
    const [stat] = await this.inner.stat([digestOf(content)]);
    return stat !== undefined;
  }
}

let from: Blobs;
let to: Blobs;
beforeEach(() => {
  from = new Blobs();
  to = new Blobs();
});

async function copy(files: readonly FileNode[], options: BlobCopierOptions = {}) {
  let told = 0;
  const onBytes = (bytes: number): void => {
    told += bytes;
  };
  const copier = new BlobCopier(from, to, { onBytes, ...options });
  for (const file of files) await copier.add(file);
  await copier.finish();
  return { blobs: copier.blobs, bytes: copier.bytes, told };
}

describe("small blobs", () => {
  test("are looked up, read and written together, and only the missing ones are copied", async () => {
    const contents = [0, 1, 2].map((i) => small(i));
    await from.fill(...contents);
    await to.fill(contents[1] as Uint8Array);
    expect(await copy(contents.map((content) => fileOf(content)))).toEqual({ blobs: 2, bytes: 20, told: 30 });
    expect(to.calls).toEqual(["stat 3", "putMany 2"]);
    expect(from.calls).toEqual(["readMany 2"]);
    for (const content of contents) expect(await to.has(content)).toBe(true);
  });

  test("are not read if the target has them all", async () => {
    await to.fill(small(0));
    expect(await copy([fileOf(small(0))])).toEqual({ blobs: 0, bytes: 0, told: 10 });
    expect([from.calls, to.calls]).toEqual([[], ["stat 1"]]);
  });

  test("are copied once, and counted each time", async () => {
    await from.fill(small(0));
    const seen = new Set<string>();
    expect(await copy([fileOf(small(0)), fileOf(small(0))], { seen })).toEqual({ blobs: 1, bytes: 10, told: 20 });
    expect([...seen]).toEqual([digestKey(digestOf(small(0)))]);
    // They are known for the next copier.
    to.calls.length = 0;
    expect(await copy([fileOf(small(0))], { seen })).toEqual({ blobs: 0, bytes: 0, told: 10 });
    expect(to.calls).toEqual([]);
  });

  test("come in batches of 256", async () => {
    const contents = Array.from({ length: 257 }, (_, i) => small(i));
    await from.inner.putMany(contents);
    await copy(contents.map((content) => fileOf(content)));
    expect(to.calls).toEqual(["stat 256", "stat 1", "putMany 256", "putMany 1"]);
  });

  test("come in batches of 2 MiB", async () => {
    const contents = [small(0, MIB), small(1, MIB - 1), small(2, 1), small(3, 1)];
    await from.fill(...contents);
    await copy(contents.map((content) => fileOf(content)));
    expect(to.calls.filter((call) => call.startsWith("stat"))).toEqual(["stat 3", "stat 1"]);
  });

  test("the empty blob is put, though every store says it has it", async () => {
    expect(await copy([fileOf(new Uint8Array(0)), fileOf(new Uint8Array(0))])).toEqual({ blobs: 0, bytes: 0, told: 0 });
    expect(to.calls).toEqual(["putMany 1"]);
    to.calls.length = 0;
    await copy([fileOf(new Uint8Array(0))], { seen: new Set([digestKey(EMPTY_DIGEST)]) });
    expect(to.calls).toEqual([]);
  });

  test.each<[string, () => Promise<FileNode[]>, string]>([
    ["the source lacks one", async () => [fileOf(small(0))], "not-found"],
    [
      "one is longer than its node says",
      async () => {
        await from.fill(small(0));
        return [fileOf(small(0), 9)];
      },
      "corrupt",
    ],
    [
      "one is shorter than its node says",
      async () => {
        await from.fill(small(0));
        return [fileOf(small(0), 11)];
      },
      "corrupt",
    ],
    [
      "the target stores one under another digest",
      async () => {
        await from.fill(small(0));
        to.inner.putMany = async () => [digestOf(small(1))];
        return [fileOf(small(0))];
      },
      "corrupt",
    ],
    [
      "the target answers with no digest",
      async () => {
        await from.fill(small(0));
        to.inner.putMany = async () => [];
        return [fileOf(small(0))];
      },
      "corrupt",
    ],
  ])("fail if %s", async (_, make, code) => {
    expect(await failure(copy(await make()))).toMatchObject({ name: "StoreError", code });
  });
});

describe("a large blob", () => {
  test("has more than a MiB, and is copied as a stream", async () => {
    const most = small(5, MIB);
    await from.fill(LARGE, most);
    expect(await copy([fileOf(LARGE), fileOf(most)])).toEqual({ blobs: 2, bytes: 2 * MIB + 1, told: 2 * MIB + 1 });
    expect(from.calls).toEqual(["open", "readMany 1"]);
    expect(to.calls.filter((call) => call === "create")).toHaveLength(1);
    expect([await to.has(LARGE), await to.has(most), to.aborts]).toEqual([true, true, []]);
  });

  test("is not read if the target has it", async () => {
    await to.fill(LARGE);
    expect(await copy([fileOf(LARGE)])).toEqual({ blobs: 0, bytes: 0, told: MIB + 1 });
    expect([from.calls, to.calls]).toEqual([[], ["stat 1"]]);
  });

  test("reuses chunks on request, and counts the bytes that came from the source", async () => {
    const changed = LARGE.slice();
    changed[0] = (changed[0] as number) ^ 1;
    await from.fill(LARGE);
    await to.fill(changed);
    const result = await copy([fileOf(LARGE)], { reuseChunks: true });
    expect(result).toMatchObject({ blobs: 1, told: MIB + 1 });
    expect(result.bytes).toBeGreaterThan(0);
    expect(result.bytes).toBeLessThan(MIB);
    expect(await to.has(LARGE)).toBe(true);
  });

  test.each<[string, () => Promise<FileNode>, string, number]>([
    ["the source lacks it", async () => fileOf(LARGE), "not-found", 0],
    [
      "it is longer than its node says",
      async () => {
        await from.fill(LARGE.slice(), small(0, MIB + 500));
        return fileOf(small(0, MIB + 500), MIB + 1);
      },
      "corrupt",
      1,
    ],
    [
      "it is shorter than its node says",
      async () => {
        await from.fill(LARGE);
        return fileOf(LARGE, MIB + 2);
      },
      "corrupt",
      1,
    ],
    [
      "the target stores it under another digest",
      async () => {
        const other = small(0, MIB + 1);
        await from.fill(other);
        from.inner.open = async () => new Blob([LARGE as Uint8Array<ArrayBuffer>]).stream();
        return fileOf(other);
      },
      "corrupt",
      1,
    ],
  ])("fails if %s, and its writer is aborted", async (_, make, code, aborts) => {
    const error = await failure(copy([await make()]));
    expect(error).toMatchObject({ name: "StoreError", code });
    expect(to.aborts).toHaveLength(aborts);
    if (aborts > 0) expect(to.aborts[0]).toBe(error);
  });

  test("that is too long is not read to its end", async () => {
    let read = 0;
    from.inner.open = async () =>
      new ReadableStream<Uint8Array>(
        {
          pull(controller) {
            read++;
            controller.enqueue(new Uint8Array(MIB / 2));
          },
        },
        { highWaterMark: 0 },
      );
    expect(await failure(copy([fileOf(LARGE)]))).toMatchObject({ code: "corrupt" });
    expect(read).toBe(3);
  });
});

test("four batches or large blobs are in flight at a time", async () => {
  let [now, most] = [0, 0];
  const stat = to.inner.stat.bind(to.inner);
  to.inner.stat = async (...args) => {
    most = Math.max(most, ++now);
    await new Promise((resolve) => setTimeout(resolve, 1));
    now--;
    return stat(...args);
  };
  const contents = Array.from({ length: 8 }, (_, i) => small(i, MIB + 1));
  await to.fill(...contents);
  await copy(contents.map((content) => fileOf(content)));
  expect(most).toBe(4);
});

test("every call gets a signal that ends with the copier", async () => {
  const signals: (AbortSignal | undefined)[] = [];
  const noting =
    <A extends [unknown?, { signal?: AbortSignal | undefined }?], R>(call: (...args: A) => R) =>
    (...args: A): R => {
      const options = args.find(
        (arg): arg is { signal: AbortSignal } => typeof arg === "object" && arg !== null && "signal" in arg,
      );
      signals.push(options?.signal);
      return call(...args);
    };
  for (const blobs of [from.inner, to.inner]) {
    blobs.stat = noting(blobs.stat.bind(blobs));
    blobs.open = noting(blobs.open.bind(blobs));
    blobs.readMany = noting(blobs.readMany.bind(blobs));
    blobs.putMany = noting(blobs.putMany.bind(blobs));
    blobs.create = noting(blobs.create.bind(blobs));
  }
  await from.fill(small(0));
  const writer = await from.inner.create();
  await writer.write(LARGE);
  await writer.close();
  signals.length = 0;
  const copier = new BlobCopier(from, to);
  for (const content of [new Uint8Array(0), small(0), LARGE]) await copier.add(fileOf(content));
  await copier.finish();
  // The empty blob, and the lookup, read and write of each of the others.
  expect(signals).toHaveLength(7);
  expect(signals[0]).toBeDefined();
  expect(new Set(signals).size).toBe(1);
  await copier.abort(new Error("enough"));
  expect(signals[0]?.aborted).toBe(true);
});

describe("an abort", () => {
  const reason = new Error("enough");

  test("by the signal ends the copies in flight, and rejects with its reason", async () => {
    const controller = new AbortController();
    await from.fill(LARGE);
    let ended: unknown;
    to.inner.stat = (_, options) =>
      new Promise((_, reject) => {
        options?.signal?.addEventListener("abort", () => {
          ended = options.signal?.reason;
          reject(new Error("the connection was closed"));
        });
      });
    const copier = new BlobCopier(from, to, { signal: controller.signal });
    await copier.add(fileOf(LARGE));
    controller.abort(reason);
    expect(await failure(copier.finish())).toBe(reason);
    expect(ended).toBe(reason);
    expect(await failure(copier.add(fileOf(small(0))))).toBe(reason);
  });

  test("by the owner ends the copies in flight, and then resolves", async () => {
    let ended = false;
    to.inner.stat = (_, options) =>
      new Promise((_, reject) => {
        options?.signal?.addEventListener("abort", () =>
          setImmediate(() => {
            ended = true;
            reject(options.signal?.reason);
          }),
        );
      });
    const copier = new BlobCopier(from, to);
    await copier.add(fileOf(LARGE));
    await copier.abort(reason);
    expect(ended).toBe(true);
    expect(await failure(copier.add(fileOf(small(0))))).toBe(reason);
  });

  test("listens to the signal only until the copier has ended", async () => {
    for (const end of [(copier: BlobCopier) => copier.finish(), (copier: BlobCopier) => copier.abort(reason)]) {
      const { signal } = new AbortController();
      let listening = 0;
      const add = signal.addEventListener.bind(signal);
      const remove = signal.removeEventListener.bind(signal);
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        listening++;
        add(...args);
      };
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        listening--;
        remove(...args);
      };
      const copier = new BlobCopier(from, to, { signal });
      expect(listening).toBe(1);
      await end(copier);
      expect(listening).toBe(0);
    }
  });
});

test("after a failure, the others end, and no further blob is accepted", async () => {
  const copier = new BlobCopier(from, to);
  await copier.add(fileOf(LARGE));
  const error = await failure(copier.finish());
  expect(error).toMatchObject({ code: "not-found" });
  expect(await failure(copier.add(fileOf(small(0))))).toBe(error);
});
