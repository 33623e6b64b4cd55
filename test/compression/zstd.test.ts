import { createXXHash64 } from "hash-wasm";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8, viewOf } from "../../src/bytes.ts";
import { decompressed } from "../../src/compression/decompress.ts";
import { zstdDecoder } from "../../src/compression/zstd.ts";
import { pieces } from "../setup/pieces.ts";
import { expectAtMost } from "../setup/processor-time.ts";
import { inputOf, sample, whole } from "./streams.ts";

const MAGIC = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd);
/** Flags of a frame: it has a checksum; its content is its window. */
const CHECKSUM = 0x04;
const SINGLE_SEGMENT = 0x20;

const block = (kind: 0 | 1, length: number, isLast: boolean, ...bytes: number[]) => {
  const bits = (length << 3) | (kind << 1) | Number(isLast);
  return Uint8Array.of(bits, bits >> 8, bits >> 16, ...bytes);
};
const stored = (isLast: boolean, ...bytes: number[]) => block(0, bytes.length, isLast, ...bytes);
const run = (isLast: boolean, length: number, byte: number) => block(1, length, isLast, byte);

/** A frame with a window of 1 KiB. */
const frame = (flags: number, ...rest: Uint8Array[]) => concatBytes([MAGIC, Uint8Array.of(flags, 0), ...rest]);
/** A frame that states a size below 256. */
const sized = (size: number, ...blocks: Uint8Array[]) => concatBytes([MAGIC, Uint8Array.of(SINGLE_SEGMENT, size), ...blocks]);

const decoded = (bytes: Uint8Array, size = 3) => whole(zstdDecoder()(inputOf(bytes, size)));
const refused = (bytes: Uint8Array, message: string) => expect(decoded(bytes)).rejects.toThrow(message);

/** The lower half of XXH64, in little-endian order. */
async function checksum(content: Uint8Array): Promise<Uint8Array> {
  const digest = (await createXXHash64()).init().update(content).digest("binary");
  return digest.slice(4).reverse();
}

describe("a frame", () => {
  test("has blocks up to the last one", async () => {
    expect([...(await decoded(frame(0, stored(false, 1, 2), run(false, 3, 9), stored(false), stored(true, 4))))]).toEqual([
      1, 2, 9, 9, 9, 4,
    ]);
    expect(await decoded(frame(0, stored(true)))).toEqual(new Uint8Array(0));
  });

  test("is refused if it is cut short, or is none", async () => {
    const bytes = frame(CHECKSUM, stored(false, 1, 2), stored(true, 3), await checksum(Uint8Array.of(1, 2, 3)));
    expect([...(await decoded(bytes))]).toEqual([1, 2, 3]);
    for (let length = 0; length < bytes.length; length++) await refused(bytes.subarray(0, length), "cut short");
    await refused(concatBytes([Uint8Array.of(0x27), bytes.subarray(1)]), "not a zstd frame");
  });

  test("has the size that its header states", async () => {
    expect((await decoded(sized(5, run(false, 3, 1), run(true, 2, 1)))).length).toBe(5);
    expect((await decoded(sized(0, stored(true)))).length).toBe(0);
    await refused(sized(4, run(false, 3, 1), run(true, 2, 1)), "more content");
    // The size is checked before the end, which may never come.
    await refused(sized(4, run(false, 3, 1), run(false, 2, 1)), "more content");
    await refused(sized(6, run(false, 3, 1), run(true, 2, 1)), "less content");
  });

  test("has a checksum if its header says so", async () => {
    const content = Uint8Array.of(1, 2, 9, 9);
    const sum = await checksum(content);
    const blocks = [stored(false, 1, 2), run(true, 2, 9)];
    expect(await decoded(frame(CHECKSUM, ...blocks, sum))).toEqual(content);
    for (const at of [0, 3]) {
      const wrong = sum.slice();
      wrong[at] = (wrong[at] as number) ^ 1;
      await refused(frame(CHECKSUM, ...blocks, wrong), "checksum of a frame");
    }
  });

  test("of the same input begins anew", async () => {
    const decode = zstdDecoder();
    const one = frame(CHECKSUM, stored(true, 1), await checksum(Uint8Array.of(1)));
    const skipped = Uint8Array.of(0x5a, 0x2a, 0x4d, 0x18, 1, 0, 0, 0, 7);
    const input = inputOf(concatBytes([one, skipped, frame(0, stored(true, 2)), one, utf8("after")]), 5);
    const contents: Uint8Array[] = [];
    for (let i = 0; i < 4; i++) contents.push(await whole(decode(input)));
    expect(contents.map((content) => [...content])).toEqual([[1], [], [2], [1]]);
    await input.need(5);
    expect(input.bytes).toEqual(utf8("after"));
  });
});

describe("the window of a frame", () => {
  const withWindow = (exponent: number, eighths: number) =>
    concatBytes([MAGIC, Uint8Array.of(0, ((exponent - 10) << 3) | eighths), stored(true, 5)]);
  const withSize = (size: number) => {
    const bytes = new Uint8Array(4);
    viewOf(bytes).setUint32(0, size, true);
    return concatBytes([MAGIC, Uint8Array.of(0x80 | SINGLE_SEGMENT), bytes, stored(true, 5)]);
  };

  test("is at most 128 MiB", async () => {
    expect([...(await decoded(withWindow(27, 0)))]).toEqual([5]);
    await refused(withWindow(27, 1), "a frame needs 150994944 bytes of memory; the limit is 134217728");
    await refused(withSize(2 ** 27), "less content");
    await refused(withSize(2 ** 27 + 1), "a frame needs 134217729 bytes of memory");
  });

  test("takes memory, which is reserved before", async () => {
    const wanted: number[] = [];
    const input = inputOf(concatBytes([withWindow(20, 0), withWindow(11, 0), withWindow(21, 0)]));
    input.reserve = async (_, bytes) => {
      wanted.push(bytes);
    };
    const decode = zstdDecoder();
    for (let i = 0; i < 3; i++) await whole(decode(input));
    // A quarter more than the window, for moving it.
    expect(wanted).toEqual([2 ** 20 * 1.25, 2 ** 21 * 1.25]);
  });
});

test.each(["patch.zst", "dictionary.zst"])("%s is refused: it refers to bytes before its content", async (name) => {
  await expect(whole(decompressed(pieces(await sample(name), 1000)))).rejects.toMatchObject({ code: "invalid" });
});

test("stored blocks of one byte take no longer in a window of 128 MiB", async () => {
  const inWindow = async (exponent: number): Promise<void> => {
    const bytes = concatBytes([
      MAGIC,
      Uint8Array.of(0, exponent << 3),
      ...Array<Uint8Array>(50_000).fill(stored(false, 0x41)),
      stored(true),
    ]);
    expect((await decoded(bytes, 1000)).length).toBe(50_000);
  };
  // Moving a window for each block takes hours.
  await expectAtMost(
    10,
    () => inWindow(0),
    () => inWindow(17),
  );
});
