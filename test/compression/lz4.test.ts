import { createXXHash32 } from "hash-wasm";
import { describe, expect, test } from "vitest";
import { concatBytes, viewOf } from "../../src/bytes.ts";
import { lz4Decoder } from "../../src/compression/lz4.ts";
import { inputOf, whole } from "./streams.ts";

const hasher = await createXXHash32();
const xxHash32 = (bytes: Uint8Array): number => Number.parseInt(hasher.init().update(bytes).digest("hex"), 16);

function word(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setUint32(0, value, true);
  return bytes;
}

const MAGIC = word(0x184d2204);
const STORED = 2 ** 31;
const END = word(0);
/** Flags of a frame. Version 1 is in the upper two bits. */
const VERSION = 0x40;
const INDEPENDENT = 0x20;
const BLOCK_CHECKSUMS = 0x10;
const CONTENT_SIZE = 0x08;
const CONTENT_CHECKSUM = 0x04;

/** A header with the right checksum. `sizes` is the byte with the code of the block size. */
function header(flags = VERSION, sizes = 0x40, size?: bigint): Uint8Array {
  const descriptor = new Uint8Array(size === undefined ? 2 : 10);
  descriptor.set([flags, sizes]);
  if (size !== undefined) viewOf(descriptor).setBigUint64(2, size, true);
  return concatBytes([MAGIC, descriptor, Uint8Array.of(xxHash32(descriptor) >> 8)]);
}

const stored = (bytes: Uint8Array): Uint8Array => concatBytes([word(STORED + bytes.length), bytes]);
const compressed = (...bytes: number[]): Uint8Array => concatBytes([word(bytes.length), Uint8Array.from(bytes)]);

const decoded = (...parts: Uint8Array[]): Promise<Uint8Array> => whole(lz4Decoder()(inputOf(concatBytes(parts), 1000)));
const refused = (message: string, ...parts: Uint8Array[]) => expect(decoded(...parts)).rejects.toThrow(message);

const ABC = Uint8Array.of(97, 98, 99);

describe("the header of a frame", () => {
  test.each([
    ["version 0", header(0x00)],
    ["version 2", header(0x80)],
    ["a reserved flag", header(VERSION | 0x02)],
    ["a reserved high bit beside the block size", header(VERSION, 0xc0)],
    ["a reserved low bit beside the block size", header(VERSION, 0x41)],
  ])("with %s is refused", async (_, bytes) => {
    await refused("unknown version", bytes, END);
  });

  test("names a block size of 64 KiB to 4 MiB", async () => {
    for (const code of [4, 5, 6, 7]) expect(await decoded(header(VERSION, code << 4), stored(ABC), END)).toEqual(ABC);
    for (const code of [0, 3]) await refused("block size", header(VERSION, code << 4), END);
  });

  test("with a dictionary is refused", async () => {
    await refused("dictionary", header(VERSION | 0x01), END);
  });

  test("has a checksum", async () => {
    const bytes = header();
    bytes[6] = (bytes[6] as number) ^ 1;
    await refused("header is damaged", bytes, END);
  });

  test("that is cut short, and other bytes, are refused", async () => {
    for (const bytes of [header(), header(VERSION | CONTENT_SIZE, 0x40, 0n)])
      for (let length = 0; length < bytes.length; length++) await refused("cut short", bytes.subarray(0, length));
    await refused("not an lz4 frame", word(0x184d2205), END);
  });
});

describe("a block", () => {
  test("is at most as long as the frame's blocks", async () => {
    const most = new Uint8Array(65_536).fill(7);
    expect(Buffer.compare(await decoded(header(), stored(most), END), most)).toBe(0);
    const more = new Uint8Array(65_537);
    await refused("too large", header(), stored(more), END);
    await refused("too large", header(), concatBytes([word(more.length), more]), END);
    expect((await decoded(header(VERSION, 0x50), stored(more), END)).length).toBe(65_537);
    // A literal, and a match that makes 64 KiB and one byte.
    const long = [0x1f, 7, 1, 0, ...Array<number>(256).fill(255)];
    const rest = 65_536 - 1 - 4 - 15 - 255 * 256 - 5;
    const last = [0x50, 1, 2, 3, 4, 5];
    expect((await decoded(header(), compressed(...long, rest, ...last), END)).length).toBe(65_536);
    await refused("damaged", header(), compressed(...long, rest + 1, ...last), END);
  });

  test("may refer to the block before, unless the blocks are independent", async () => {
    // A match of 4 bytes at a distance of 3, then no literals.
    const match = compressed(0x00, 3, 0, 0x00);
    expect([...(await decoded(header(), stored(ABC), match, END))]).toEqual([97, 98, 99, 97, 98, 99, 97]);
    await refused("damaged", header(VERSION | INDEPENDENT), stored(ABC), match, END);
    // The first block of a frame has none before it.
    const decode = lz4Decoder();
    const input = inputOf(concatBytes([header(), stored(ABC), END, header(), match, END]));
    expect(await whole(decode(input))).toEqual(ABC);
    await expect(whole(decode(input))).rejects.toThrow("damaged");
  });

  test("may refer to 64 KiB before it, in several blocks", async () => {
    const first = Uint8Array.from({ length: 65_536 }, (_, i) => (i * 31) >> 3);
    const second = new Uint8Array(1).fill(9);
    // The second byte of the first block is 65,535 bytes before the third block.
    const found = await decoded(header(), stored(first), stored(second), compressed(0x00, 0xff, 0xff, 0x00), END);
    expect([...found.subarray(65_537)]).toEqual([...first.subarray(2, 6)]);
    await refused("damaged", header(), stored(first.subarray(1)), compressed(0x00, 0xff, 0xff, 0x00).fill(0, 5, 7), END);
  });

  test("has a checksum if the frame says so", async () => {
    const flags = header(VERSION | BLOCK_CHECKSUMS);
    expect(await decoded(flags, stored(ABC), word(xxHash32(ABC)), END)).toEqual(ABC);
    await refused("damaged", flags, stored(ABC), word(xxHash32(ABC) ^ 1), END);
    await refused("cut short", flags, stored(ABC), word(xxHash32(ABC)).subarray(1));
  });

  test("is passed on in pieces of 256 KiB", async () => {
    const content = new Uint8Array(600_000).fill(1);
    const lengths: number[] = [];
    for await (const { length } of lz4Decoder()(inputOf(concatBytes([header(VERSION, 0x60), stored(content), END]))))
      lengths.push(length);
    expect(lengths).toEqual([262_144, 262_144, 75_712]);
  });
});

describe("the content of a frame", () => {
  test("has the size that the header states", async () => {
    const sized = (size: bigint) => header(VERSION | CONTENT_SIZE, 0x40, size);
    expect(await decoded(sized(6n), stored(ABC), stored(ABC), END)).toEqual(concatBytes([ABC, ABC]));
    for (const size of [5n, 7n, 0n, 2n ** 32n + 6n]) await refused("size", sized(size), stored(ABC), stored(ABC), END);
    expect((await decoded(sized(0n), END)).length).toBe(0);
  });

  test("has a checksum if the header says so", async () => {
    const flags = header(VERSION | CONTENT_CHECKSUM);
    const sum = word(xxHash32(concatBytes([ABC, ABC])));
    expect(await decoded(flags, stored(ABC), stored(ABC), END, sum)).toEqual(concatBytes([ABC, ABC]));
    await refused("checksum of a frame", flags, stored(ABC), END, sum);
    await refused("cut short", flags, stored(ABC), stored(ABC), END, sum.subarray(1));
  });

  test("ends with the mark, so that another frame may follow", async () => {
    const decode = lz4Decoder();
    const skipped = concatBytes([word(0x184d2a57), word(2), Uint8Array.of(1, 2)]);
    const input = inputOf(concatBytes([header(), stored(ABC), END, skipped, header(VERSION, 0x70), stored(ABC), END, header()]));
    expect(await whole(decode(input))).toEqual(ABC);
    expect((await whole(decode(input))).length).toBe(0);
    expect(await whole(decode(input))).toEqual(ABC);
    expect(input.bytes.length).toBe(header().length);
    await expect(whole(decode(input))).rejects.toThrow("cut short");
  });
});
