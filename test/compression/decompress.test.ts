import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { decompressed, decompressedAs } from "../../src/compression/decompress.ts";

/** Made by make-samples.sh. */
const sample = async (name: string): Promise<Uint8Array> =>
  new Uint8Array(await readFile(join(import.meta.dirname, "samples", name)));

const NUMBERS = utf8(`${Array.from({ length: 25000 }, (_, i) => i + 1).join("\n")}\n`);

async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function whole(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const read: Uint8Array[] = [];
  for await (const bytes of source) read.push(bytes);
  return concatBytes(read);
}

const COMPRESSION: Record<string, string> = { gz: "gzip", bz2: "bzip2", xz: "xz", zst: "zstd" };
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
];

describe.each(SAMPLES)("%s", (name) => {
  test("is decompressed, in pieces of any size", async () => {
    const bytes = await sample(name);
    // Node's gzip takes its time for each piece.
    for (const size of [name.endsWith("gz") ? 200 : 1, 1000, 65_536, bytes.length]) {
      expect(Buffer.compare(await whole(decompressed(pieces(bytes, size))), NUMBERS)).toBe(0);
      expect(Buffer.compare(await whole(decompressedAs(pieces(bytes, size), compressionOf(name))), NUMBERS)).toBe(0);
    }
  });

  test("is refused when it is cut short", async () => {
    const bytes = await sample(name);
    // Where a stream of several ends, it may end.
    for (const length of [bytes.length - 9, Math.floor(bytes.length / 3), 20, 11]) {
      await expect(whole(decompressed(pieces(bytes.subarray(0, length), 4096)))).rejects.toMatchObject({ code: "invalid" });
    }
  });

  test("is refused with something after it", async () => {
    const bytes = concatBytes([await sample(name), utf8("something else")]);
    for (const size of [100, bytes.length])
      await expect(whole(decompressed(pieces(bytes, size)))).rejects.toMatchObject({ code: "invalid" });
  });

  test("is refused when a byte is another, or gives the same as before", async () => {
    const bytes = await sample(name);
    const isChecked = !name.startsWith("unchecked");
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

describe.each(["gzip", "bzip2", "xz", "zstd"])("16 MiB of zeros in %s", (compression) => {
  test("come as they are taken", async () => {
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
    // A block of bzip2 holds all of them, and the platform's gzip reads ahead.
    if (compression === "xz" || compression === "zstd") expect(given).toBeLessThan(bytes.length / 2);

    let total = 0;
    for await (const piece of decompressed(pieces(bytes, 1000))) total += piece.length;
    expect(total).toBe(16 * 1024 * 1024);
  });
});

test("what is not compressed comes as it is, in the pieces that came", async () => {
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

test("a compression that can't be read is named", async () => {
  await expect(whole(decompressedAs(pieces(NUMBERS, 100), "lzip"))).rejects.toMatchObject({
    code: "invalid",
    message: expect.stringContaining("lzip"),
  });
});

test("errors of the source come out as they are", async () => {
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
  // The next one is served all the same.
  expect(Buffer.compare(await whole(decompressed(pieces(bytes, 1000))), NUMBERS)).toBe(0);
});

test("streams of xz are read side by side, also when one is left alone", async () => {
  const bytes = await sample("several.xz");
  const left = decompressed(pieces(bytes, 1000));
  await left.next();
  const others = [1, 2, 3].map(() => whole(decompressed(pieces(bytes, 1000))));
  await left.return(undefined);
  for (const other of others) expect(Buffer.compare(await other, NUMBERS)).toBe(0);
});

test("a frame of zstd that wants too much memory is refused", async () => {
  // A window of 2 GiB; a single segment of 1 GiB.
  const wide = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 1, 0, 0);
  const long = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xa0, 0, 0, 0, 0x40, 1, 0, 0);
  for (const frame of [wide, long])
    await expect(whole(decompressed(pieces(frame, 100)))).rejects.toMatchObject({ code: "invalid" });
});

test("a source of xz that stalls stops no other; where too many do, one that waits can be aborted", async () => {
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

describe("others get their turn while", () => {
  // 128 KiB of a zero in four bytes, as often as wanted.
  const run = Uint8Array.of(0x02, 0x00, 0x10, 0x00);
  const zeros = concatBytes([Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38), ...Array<Uint8Array>(20_000).fill(run)]);
  // A window of 128 MiB and nothing in it.
  const empty = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 1, 0, 0);
  const frames = concatBytes(Array<Uint8Array>(20_000).fill(empty));

  test.each([
    ["a few bytes become gigabytes", zeros],
    ["frames have nothing in them", frames],
  ])("%s", async (_, bytes) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(new Error("enough")), 200);
    const began = performance.now();
    const read = async (): Promise<void> => {
      for await (const piece of decompressedAs(pieces(bytes, bytes.length), "zstd", controller.signal)) expect(piece[0]).toBe(0);
    };
    await expect(read()).rejects.toThrow("enough");
    expect(performance.now() - began).toBeLessThan(3000);
  });
});
