import { createHash } from "node:crypto";
import { describe, expect, test, vi } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { COMPRESSIONS, decompressed, decompressedAs, parseCompression } from "../../src/compression/decompress.ts";
import { pieces } from "../setup/pieces.ts";
import { sample, whole } from "./streams.ts";
import "../../src/node/brotli.ts";

const NUMBERS = utf8(`${Array.from({ length: 25000 }, (_, i) => i + 1).join("\n")}\n`);

const COMPRESSION: Record<string, string> = {
  gz: "gzip",
  bz2: "bzip2",
  xz: "xz",
  zst: "zstd",
  lz4: "lz4",
  lz: "lzip",
  lzma: "lzma",
  br: "br",
};
const compressionOf = (name: string): string => COMPRESSION[name.split(".")[1] ?? ""] ?? "";

const SAMPLES = [
  "numbers.gz",
  "numbers.bz2",
  "numbers.xz",
  "crc32.xz",
  "numbers.zst",
  "unchecked.zst",
  "several.bz2",
  "several.xz",
  "several.zst",
  "numbers.lz4",
  "sized.lz4",
  "numbers.lz",
  "several.lz",
  "numbers.lzma",
  "sized.lzma",
  "numbers.br",
];

/** Samples without a checksum. Damage may go unnoticed in them. */
const UNCHECKED = /^unchecked|\.(?:lzma|br)$/;

describe.each(SAMPLES)("%s", (name) => {
  test("is decompressed from pieces of any size", async () => {
    const bytes = await sample(name);
    for (const size of [bytes.length > 60_000 ? 100 : 1, 1000, 65_536, bytes.length]) {
      // Brotli has no magic number, so its compression must be named.
      if (!name.endsWith("br")) expect(Buffer.compare(await whole(decompressed(pieces(bytes, size))), NUMBERS)).toBe(0);
      expect(Buffer.compare(await whole(decompressedAs(pieces(bytes, size), compressionOf(name))), NUMBERS)).toBe(0);
    }
  });

  test("is refused if it is cut short", async () => {
    const bytes = await sample(name);
    // The lengths avoid ends of members, because a file may end there.
    for (const length of [bytes.length - 9, Math.floor(bytes.length / 3), 20, 11]) {
      const cut = decompressedAs(pieces(bytes.subarray(0, length), 4096), compressionOf(name));
      await expect(whole(cut)).rejects.toMatchObject({ code: "invalid" });
    }
  });

  test("is refused if other bytes follow it", async () => {
    const bytes = concatBytes([await sample(name), utf8("something else")]);
    for (const size of [100, bytes.length])
      await expect(whole(decompressedAs(pieces(bytes, size), compressionOf(name)))).rejects.toMatchObject({ code: "invalid" });
  });

  test("with a flipped bit is refused, or gives the same content", async () => {
    const bytes = await sample(name);
    const isChecked = !UNCHECKED.test(name);
    for (let i = 1; i < 16; i++) {
      const damaged = bytes.slice();
      const at = Math.floor((i * bytes.length) / 16);
      damaged[at] = (damaged[at] as number) ^ 0x10;
      const read = await whole(decompressedAs(pieces(damaged, 65_536), compressionOf(name))).catch((error: unknown) => error);
      if (read instanceof Uint8Array) {
        if (isChecked) expect(Buffer.compare(read, NUMBERS)).toBe(0);
      } else expect(read).toMatchObject({ code: "invalid" });
    }
  });
});

describe.each(COMPRESSIONS.filter((compression) => compression !== "none"))("16 MiB of zeros in %s", (compression) => {
  test("are decompressed as they are read", async () => {
    const bytes = await sample(`zeros.${compression}`);
    let given = 0;
    let returned = false;
    const source = async function* (): AsyncGenerator<Uint8Array> {
      try {
        for await (const piece of pieces(bytes, 64)) {
          given += piece.length;
          yield piece;
        }
      } finally {
        returned = true;
      }
    };
    let length = 0;
    for await (const piece of decompressedAs(source(), compression)) {
      length += piece.length;
      if (length >= 1024 * 1024) break;
    }
    expect(returned).toBe(true);
    // bzip2 puts all zeros into one block, and brotli's output fits into one piece.
    if (compression !== "bzip2" && compression !== "br") expect(given).toBeLessThan(Math.max(bytes.length / 2, 5000));

    let total = 0;
    for await (const piece of decompressedAs(pieces(bytes, 1000), compression)) total += piece.length;
    expect(total).toBe(16 * 1024 * 1024);
  });
});

test("a zstd frame with a window of 128 MiB is read, with matches from its far end", async () => {
  const hash = createHash("sha256");
  for await (const piece of decompressed(pieces(await sample("far.zst"), 1000))) hash.update(piece);
  // Hash of the output of `zstd -d --long=27`.
  expect(hash.digest("hex")).toBe("1ab2e296df563bd02664660d1d1ed71bb03180afa70f0f23b391bd3a2a7954fc");
}, 30_000);

test("uncompressed data is passed on in the pieces in which it came", async () => {
  const given = [utf8("something longer"), utf8("short"), NUMBERS];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield* given;
  };
  const read: Uint8Array[] = [];
  for await (const bytes of decompressed(source())) read.push(bytes);
  expect(read.map(({ buffer }) => buffer)).toEqual(given.map(({ buffer }) => buffer));
  expect(Buffer.compare(await whole(decompressedAs(pieces(NUMBERS, 100), "none")), NUMBERS)).toBe(0);
  expect(Buffer.compare(await whole(decompressedAs(pieces(NUMBERS, 100), "")), NUMBERS)).toBe(0);
  expect(await whole(decompressed(pieces(utf8("abc"), 1)))).toEqual(utf8("abc"));
  expect(await whole(decompressed(pieces(utf8(""), 1)))).toEqual(utf8(""));
});

test.each(["compress", "grzip", "lrzip", "lzop", "identity", "GZIP", " xz"])("the compression %j is refused by name", (name) => {
  const refused = { code: "invalid", message: expect.stringMatching(new RegExp(`"${name}".*gzip.*lzip`)) };
  expect(() => parseCompression(name)).toThrowError(expect.objectContaining(refused));
});

test.each([
  ["compress", "1f9d90616263"],
  ["lzop", "894c5a4f000d0a1a0a1030"],
])("the output of %s is refused, and the error names that format", async (name, hex) => {
  const bytes = Buffer.from(hex.padEnd(100, "0"), "hex");
  const refused = { code: "invalid", message: expect.stringContaining(`"${name}"`) };
  await expect(whole(decompressed(pieces(bytes, 5)))).rejects.toMatchObject(refused);
});

test("a tar that starts like lzma is read as uncompressed", async () => {
  // A tar whose first entry is named "]".
  const tar = new Uint8Array(512);
  tar.set(utf8("]"));
  expect(await whole(decompressed(pieces(tar, 100)))).toEqual(tar);
});

test("errors of the source are passed on unchanged", async () => {
  const bytes = await sample("numbers.xz");
  for (const name of ["numbers.gz", "numbers.bz2", "numbers.xz", "numbers.zst"]) {
    const bytes = await sample(name);
    const broken = new Error("broken");
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield bytes.subarray(0, 1000);
      throw broken;
    };
    await expect(whole(decompressed(source()))).rejects.toBe(broken);
  }
  // The decoder still works for the next source.
  expect(Buffer.compare(await whole(decompressed(pieces(bytes, 1000))), NUMBERS)).toBe(0);
});

test("several xz streams can be read at the same time, even if one is abandoned", async () => {
  const bytes = await sample("several.xz");
  const left = decompressed(pieces(bytes, 1000));
  await left.next();
  const others = [1, 2, 3].map(() => whole(decompressed(pieces(bytes, 1000))));
  await left.return(undefined);
  for (const other of others) expect(Buffer.compare(await other, NUMBERS)).toBe(0);
});

describe("input that needs too much memory is refused", () => {
  test.each([
    ["zstd with a window of 2 GiB", "zstd", "28b52ffd00a8010000"],
    ["zstd with a single segment of 1 GiB", "zstd", "28b52ffda0000000400100"],
    ["lzma with a dictionary of 1 GiB", "lzma", "5d00000040ffffffffffffffff0000000000"],
    ["lzip with a dictionary of 512 MiB", "lzip", "4c5a4950011d0000000000"],
    ["brotli with a window of 1 GiB", "br", "11910300000000"],
  ])("%s", async (_, compression, hex) => {
    const bytes = Buffer.from(hex, "hex");
    await expect(whole(decompressedAs(pieces(bytes, 100), compression))).rejects.toMatchObject({ code: "invalid" });
  });

  test("a large dictionary is not allocated in advance", async () => {
    const bytes = await sample("lzma.one");
    // Sets the dictionary size in the header to 128 MiB.
    new DataView(bytes.buffer).setUint32(1, 128 * 1024 * 1024, true);
    const before = process.memoryUsage().arrayBuffers;
    const reading = decompressedAs(pieces(bytes, 1000), "lzma");
    await reading.next();
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(20 * 1024 * 1024);
    await reading.return(undefined);
  });
});

test("stalled xz sources don't block others; if too many stall, a waiting one can be aborted", async () => {
  const bytes = await sample("several.xz");
  let unblock = (): void => {};
  const blocked = new Promise<void>((resolve) => {
    unblock = resolve;
  });
  const stalled = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes.subarray(0, 1000);
    await blocked;
    yield bytes.subarray(1000);
  };
  const all = [whole(decompressed(stalled()))];
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(Buffer.compare(await whole(decompressed(pieces(bytes, 1000))), NUMBERS)).toBe(0);

  for (let i = 0; i < 20; i++) all.push(whole(decompressed(stalled())));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const controller = new AbortController();
  const aborted = whole(decompressed(pieces(bytes, 1000), controller.signal));
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  unblock();
  for (const one of all) expect(Buffer.compare(await one, NUMBERS)).toBe(0);
});

describe("other tasks run while", () => {
  // The start of a zstd frame, and a run of 128 KiB of zeros in four bytes, to be repeated. Then an
  // empty frame with a window of 128 MiB.
  const start = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38);
  const run = Uint8Array.of(0x02, 0x00, 0x10, 0x00);
  const empty = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0);

  test.each<[string, string, ...(Uint8Array | string)[]]>([
    ["a few bytes become gigabytes", "zstd", start, run],
    ["zstd's frames have nothing in them", "zstd", empty, empty],
    ["gzip's members have nothing in them", "gzip", "gzip.nothing"],
    ["gzip's members are zeros", "gzip", "zeros.gzip"],
    ["lz4's frames have nothing in them", "lz4", "lz4.nothing"],
    ["lz4's frames are zeros", "lz4", "zeros.lz4"],
    ["lzip's members have nothing in them", "lzip", "lzip.nothing"],
    ["lzip's members are zeros", "lzip", "zeros.lzip"],
    ["xz's streams have nothing in them", "xz", "xz.nothing"],
    ["xz's streams are zeros", "xz", "zeros.xz"],
    ["zeros follow", "gzip", "gzip.nothing", new Uint8Array(100_000)],
  ])("%s", async (_, compression, first, again = first) => {
    const bytes = async (from: Uint8Array | string) => (typeof from === "string" ? sample(from) : from);
    const [head, unit] = [await bytes(first), await bytes(again)];
    const piece = concatBytes(Array<Uint8Array>(Math.ceil(100_000 / unit.length)).fill(unit));
    const source = async function* (): AsyncGenerator<Uint8Array> {
      yield head;
      for (;;) yield piece;
    };
    const controller = new AbortController();
    // Decoding never ends, so only a task that runs in between can end the test.
    let turns = 0;
    const otherTask = (): void => {
      if (++turns === 10) controller.abort(new Error("enough"));
      else setTimeout(otherTask, 1);
    };
    setTimeout(otherTask, 1);
    const read = async (): Promise<void> => {
      for await (const bytes of decompressedAs(source(), compression, controller.signal)) expect(bytes[0]).toBe(0);
    };
    await expect(read()).rejects.toThrow("enough");
    expect(turns).toBe(10);
  });
});

// Chromium has room for some hundred WebAssembly memories in all threads of a page, and frees them
// late.
test.each(SAMPLES)("inputs like %s, one after another, make no instance of WebAssembly each", async (name) => {
  const bytes = await sample(name);
  const read = (): Promise<Uint8Array> => whole(decompressedAs(pieces(bytes, 65_536), compressionOf(name)));
  await read();
  const instantiate = vi.spyOn(WebAssembly, "instantiate");
  const { Instance } = WebAssembly;
  let instances = 0;
  WebAssembly.Instance = class extends Instance {
    constructor(module: WebAssembly.Module, imports?: object) {
      super(module, imports);
      instances++;
    }
  };
  try {
    for (let i = 0; i < 3; i++) await read();
    expect([instances, instantiate.mock.calls.length]).toEqual([0, 0]);
  } finally {
    WebAssembly.Instance = Instance;
    instantiate.mockRestore();
  }
});
