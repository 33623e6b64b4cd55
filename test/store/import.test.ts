import { describe, expect, test, vi } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes } from "../../src/bytes.ts";
import { type IngestionEntry, ingest } from "../../src/castore/ingest.ts";
import { narEntries } from "../../src/castore/nar-entries.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import type { Progress } from "../../src/progress.ts";
import { importEntries, importNar, ingestNar } from "../../src/store/import.ts";
import { calculateNar, narSize, renderNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";
import { streamOf } from "../../src/stream.ts";
import { collect, engine, failure, NARS, narFixture, SAMPLE, Source, sampleNar } from "./fixtures.ts";

async function listed(store: StoreServices): Promise<PathInfo[]> {
  const infos: PathInfo[] = [];
  for await (const info of store.pathInfos.list()) infos.push(info);
  return infos;
}

describe("importNar with a name", () => {
  test.each(NARS)("$name gets the store path of nix-store --add, and renders to the same NAR", async (fixture) => {
    const store = createMemoryStore();
    const nar = narFixture(fixture);
    const info = await importNar(store, engine, new Source(nar), { name: fixture.name });
    expect(info.storePath).toBe(fixture.storePath);
    expect([info.narSize, info.narHash]).toEqual([fixture.size, fixture.sha256]);
    expect(await collect(renderNar(store, info.node))).toEqual(nar);
    expect(await narSize(store, info.node)).toBe(fixture.size);
    expect(await calculateNar(store, engine, info.node)).toEqual({ narSize: fixture.size, narHash: fixture.sha256 });
    expect(await listed(store)).toEqual([info]);
  });

  test.each(NARS)("a tree like $name is written with the size of its NAR", async (fixture) => {
    const nar = new Source(narFixture(fixture));
    expect(await ingest(createMemoryStore(), (uploader) => narEntries(nar, uploader))).toMatchObject({ narSize: fixture.size });
  });

  test("importEntries gives the same path", async () => {
    for (const fixture of NARS) {
      const store = createMemoryStore();
      const getClosure = vi.spyOn(store.directories, "getClosure");
      const progress: Progress[] = [];
      const info = await importEntries(store, engine, (uploader) => narEntries(new Source(narFixture(fixture)), uploader), {
        name: fixture.name,
        onProgress: (step) => progress.push(step),
      });
      expect(info.storePath).toBe(fixture.storePath);
      expect(progress.at(-1)).toEqual({ phase: "hashing", unit: "bytes", loaded: fixture.size, total: fixture.size });
      // The import knows the size of the NAR, so only the NAR itself reads the directories.
      expect(getClosure.mock.calls.length).toBeLessThanOrEqual(1);
    }
  });

  test("an invalid name is refused before anything is read", async () => {
    const source = new Source(narFixture(NARS[0]!));
    expect(await failure(importNar(createMemoryStore(), engine, source, { name: "a/b" }))).toMatchObject({ code: "invalid" });
    expect(source.pulled).toBe(0);
    expect(source.returned).toBe(true);

    let asked = false;
    const entries = (): AsyncIterable<IngestionEntry> => {
      asked = true;
      return new ReadableStream<IngestionEntry>();
    };
    expect(await failure(importEntries(createMemoryStore(), engine, entries, { name: "" }))).toMatchObject({ code: "invalid" });
    expect(asked).toBe(false);
  });

  test.each([
    ["cut short", (nar: Uint8Array) => nar.slice(0, -8)],
    ["with a tail", (nar: Uint8Array) => new Uint8Array([...nar, 0])],
    ["with another token", (nar: Uint8Array) => nar.with(8, 0x58)],
  ])("a NAR %s is invalid, and nothing becomes visible", async (_, spoil) => {
    const store = createMemoryStore();
    const nar = spoil(narFixture(NARS.find(({ name }) => name === "nested")!));
    expect(await failure(importNar(store, engine, new Source(nar), { name: "x" }))).toMatchObject({ code: "invalid" });
    expect(await listed(store)).toEqual([]);
  });

  test("an abort rejects with the signal's reason, and ends the source", async () => {
    const store = createMemoryStore();
    const controller = new AbortController();
    const reason = new Error("enough");
    const source = new Source(narFixture(NARS.find(({ name }) => name === "padding")!), 100);
    const importing = importNar(store, engine, source, {
      name: "x",
      signal: controller.signal,
      onProgress: ({ loaded }) => loaded > 1000 && controller.abort(reason),
    });
    expect(await failure(importing)).toBe(reason);
    expect(source.returned).toBe(true);
    expect(await listed(store)).toEqual([]);
  });
});

describe("importNar with a NARInfo", () => {
  test.each(SAMPLE.map((text) => [/StorePath: .*-(.*)/.exec(text)?.[1], text] as const))(
    "%s is imported as its own path",
    async (_, text) => {
      const store = createMemoryStore();
      const info = await importNar(store, engine, new Source(sampleNar(text)), { narInfo: text });
      expect(text).toContain(`StorePath: ${info.storePath}\n`);
      expect(text).toContain(`References: ${info.references.join(" ")}\n`);
      expect(text).toContain(`Sig: ${info.signatures[0]}\n`);
      expect(await collect(renderNar(store, info.node))).toEqual(sampleNar(text));
    },
  );

  // One path with a content address, and one without.
  const [addressed, plain] = [SAMPLE.find((text) => text.includes("\nCA: "))!, SAMPLE.find((text) => !text.includes("\nCA: "))!];

  test.each([
    ["another hash", plain.replace(/NarHash: .*/, `NarHash: sha256:${encodeNixbase32(new Uint8Array(32))}`), "corrupt"],
    ["a larger size", plain.replace(/NarSize: (\d+)/, (_, size) => `NarSize: ${Number(size) + 8}`), "corrupt"],
    ["a smaller size", plain.replace(/NarSize: (\d+)/, (_, size) => `NarSize: ${Number(size) - 8}`), "corrupt"],
    ["a store path that differs from its content address", addressed.replace(/StorePath: ([^-]*)-/, "StorePath: $1-x"), "corrupt"],
    ["no store path", plain.replace(/StorePath: .*\n/, ""), "invalid"],
  ])("a NARInfo with %s is refused, and nothing becomes visible", async (_, text, code) => {
    const store = createMemoryStore();
    const nar = sampleNar(text);
    const source = new Source(nar);
    expect(await failure(importNar(store, engine, source, { narInfo: text }))).toMatchObject({ code });
    expect(source.returned || source.pulled > nar.length / 1000).toBe(true);
    expect(await listed(store)).toEqual([]);
  });

  test("content that does not match its content address is refused, although the path matches the address", async () => {
    // The NAR of one file comes with the path and content address of another.
    const [a, b] = SAMPLE.filter((text) => text.includes("CA: text:") && text.includes("References: \n")) as [string, string];
    const text = a.replace(/NarHash: .*\nNarSize: .*/, /NarHash: .*\nNarSize: .*/.exec(b)![0]);
    const store = createMemoryStore();
    expect(await failure(importNar(store, engine, new Source(sampleNar(b)), { narInfo: text }))).toMatchObject({ code: "corrupt" });
    expect(await listed(store)).toEqual([]);
  });

  test("an existing path with different content is a conflict; with the same content it gets the signatures", async () => {
    const store = createMemoryStore();
    const info = await importNar(store, engine, new Source(sampleNar(plain)), { narInfo: plain });
    const other = plain.replace(/NarHash: .*/, `NarHash: sha256:${encodeNixbase32(new Uint8Array(32))}`);
    expect(await failure(importNar(store, engine, new Source(sampleNar(plain)), { narInfo: other }))).toMatchObject({
      code: "conflict",
    });

    const signed = plain.replace(/Sig: [^:]*:/, "Sig: another-1:");
    const again = await importNar(store, engine, new Source(sampleNar(plain)), { narInfo: signed });
    expect(again.signatures).toEqual([...info.signatures, /Sig: (.*)/.exec(signed)![1]]);
  });
});

describe("the hash of a NAR", () => {
  /** The NAR of one file with so many bytes, in pieces that the source gives away. */
  async function* pieces(size: number, piece: number): AsyncGenerator<Uint8Array> {
    const parts: Uint8Array[] = [];
    const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
    writer.file(size, false);
    writer.flush();
    yield concatBytes(parts.splice(0));
    writer.skipContent(size);
    parts.length = 0;
    for (let at = 0; at < size; at += piece) yield new Uint8Array(Math.min(piece, size - at)).fill(at / piece);
    writer.endFile();
    writer.end();
    yield concatBytes(parts);
  }

  /** An engine whose SHA-256 takes pieces only when told. */
  function slowHash() {
    const slow = new InlineHashEngine();
    const waiting: (() => void)[] = [];
    const calls: ("update" | "give")[] = [];
    let aborted = 0;
    const make = slow.stream.bind(slow);
    vi.spyOn(slow, "stream").mockImplementation(async (algorithm, options) => {
      const hash = await make(algorithm, options);
      if (algorithm !== "sha256") return hash;
      const later = (): Promise<void> => new Promise((resolve) => waiting.push(resolve));
      return {
        async update(bytes) {
          calls.push("update");
          await later();
          return hash.update(bytes);
        },
        async give(buffer, length) {
          calls.push("give");
          await later();
          return hash.give(buffer, length);
        },
        digest: () => hash.digest(),
        abort() {
          aborted++;
          hash.abort();
        },
      };
    });
    return { slow, waiting, calls, aborted: () => aborted };
  }

  /** Lets a slow hash take its pieces until the import ends. */
  async function hashing(importing: Promise<unknown>, waiting: (() => void)[]): Promise<void> {
    let isDone = false;
    const end = (): void => {
      isDone = true;
    };
    importing.then(end, end);
    while (!isDone) {
      for (const resolve of waiting.splice(0)) resolve();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  const MIB = 1024 * 1024;

  test("may be 8 MiB behind, and takes large pieces without a copy", async () => {
    const { slow, waiting, calls } = slowHash();
    let read = 0;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for await (const piece of pieces(24 * MIB, MIB)) {
        read += piece.length;
        yield piece;
      }
    };
    const importing = importNar(createMemoryStore(), slow, source(), { name: "x" });
    await vi.waitFor(() => expect(read).toBeGreaterThan(8 * MIB));
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(read).toBeLessThan(10 * MIB);
    await hashing(importing, waiting);
    expect((await importing).narSize).toBe(24 * MIB + 112);
    // The header and the end are small.
    expect(calls).toEqual(["update", ...Array(24).fill("give"), "update"]);
  });

  test("gives the buffers back to the source, whole or in part", async () => {
    const returned: number[] = [];
    const whole = await collect(streamOf(pieces(4 * MIB, MIB)));
    const source = async function* (): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < whole.length; at += 100_000) {
        // A part of a larger buffer, from its start.
        const buffer = new Uint8Array(128 * 1024);
        buffer.set(whole.subarray(at, at + 100_000));
        yield buffer.subarray(0, Math.min(100_000, whole.length - at));
      }
    };
    const engine = new InlineHashEngine();
    const { narHash } = await ingestNar(createMemoryStore(), engine, source(), {
      reuse: (buffer) => returned.push(buffer.byteLength),
    });
    expect(returned.length).toBe(Math.ceil(whole.length / 100_000));
    expect(new Set(returned)).toEqual(new Set([128 * 1024]));
    expect(narHash).toBe((await ingestNar(createMemoryStore(), engine, new Source(whole))).narHash);
  });

  test.each([10, 0])("is not given a part of a buffer that begins at %d, unless the source takes buffers back", async (offset) => {
    const { slow, waiting, calls } = slowHash();
    const whole = await collect(streamOf(pieces(MIB, MIB)));
    const around = new Uint8Array(whole.length + 20);
    around.set(whole, offset);
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield around.subarray(offset, offset + whole.length);
    };
    const done = ingestNar(createMemoryStore(), slow, source());
    await hashing(done, waiting);
    expect((await done).narSize).toBe(whole.length);
    expect(calls).toEqual(["update"]);
  });

  test("is released if the NAR is malformed, too long or aborted", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const [sample = ""] = SAMPLE;
    const cut = async function* (): AsyncGenerator<Uint8Array> {
      yield narFixture(NARS[0] as (typeof NARS)[number]).subarray(0, 50);
    };
    const aborting = async function* (): AsyncGenerator<Uint8Array> {
      yield narFixture(NARS[0] as (typeof NARS)[number]).subarray(0, 50);
      controller.abort(reason);
      yield new Uint8Array(10);
    };
    const tooLong = async function* (): AsyncGenerator<Uint8Array> {
      yield sampleNar(sample);
      yield new Uint8Array(1);
    };
    const store = createMemoryStore();
    for (const [source, options, error] of [
      [cut(), { name: "x" }, { code: "invalid" }],
      [aborting(), { name: "x", signal: controller.signal }, reason],
      [tooLong(), { narInfo: sample }, { code: "corrupt" }],
    ] as const) {
      const { slow, waiting, aborted } = slowHash();
      const importing = importNar(store, slow, source, options);
      await hashing(importing, waiting);
      if (error === reason) await expect(importing).rejects.toBe(reason);
      else await expect(importing).rejects.toMatchObject(error);
      expect(aborted()).toBe(1);
    }
    expect(await listed(store)).toEqual([]);
  });
});
