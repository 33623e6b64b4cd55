import { describe, expect, test } from "vitest";
import { ZstdBlocks } from "../../src/compression/zstd-blocks.ts";
import type { BlockHeader } from "../../src/compression/zstd-frame.ts";
import { packBackward } from "./bits.ts";

const header = (kind: BlockHeader["kind"], contentSize: number): BlockHeader => ({ kind, isLast: false, length: 0, contentSize });
const COMPRESSED = header("compressed", 128 * 1024);

/** A compressed block: no literals, and a match of 3 bytes at a distance of 1 to 4. */
const match = (distance: number) => Uint8Array.of(0, 1, 0b01_01_01_00, 0, 2, 0, ...packBackward([[distance - 1, 2]]));
/** A compressed block of literals alone, which are a run. */
const literals = (length: number) => Uint8Array.of(1 | (3 << 2) | ((length << 4) & 0xf0), length >> 4, length >> 12, 7, 0);

function begun(windowSize: number): ZstdBlocks {
  const blocks = new ZstdBlocks();
  blocks.begin(windowSize);
  return blocks;
}

describe("a block", () => {
  test("is stored, a run, or compressed", () => {
    const blocks = begun(1024);
    expect([...blocks.decode(header("stored", 3), Uint8Array.of(1, 2, 3))]).toEqual([1, 2, 3]);
    expect([...blocks.decode(header("run", 4), Uint8Array.of(9))]).toEqual([9, 9, 9, 9]);
    expect([...blocks.decode(COMPRESSED, match(4))]).toEqual([9, 9, 9]);
    expect([...blocks.decode(header("stored", 0), new Uint8Array(0))]).toEqual([]);
    expect([...blocks.decode(COMPRESSED, literals(5))]).toEqual([7, 7, 7, 7, 7]);
  });

  test("of compressed content has no more than the window, and no more than 128 KiB", () => {
    for (const [windowSize, most] of [
      [1024, 1024],
      [1 << 20, 128 * 1024],
    ] as const) {
      expect(begun(windowSize).decode(COMPRESSED, literals(most)).length).toBe(most);
      expect(() => begun(windowSize).decode(COMPRESSED, literals(most + 1))).toThrow("damaged");
    }
  });

  test("is a copy, which later blocks don't change", () => {
    const blocks = begun(1024);
    const first = blocks.decode(header("run", 3), Uint8Array.of(1));
    blocks.begin(1024);
    blocks.decode(header("run", 3), Uint8Array.of(2));
    expect([...first]).toEqual([1, 1, 1]);
  });
});

describe("matches", () => {
  test("don't reach behind the window", () => {
    const blocks = begun(3);
    blocks.decode(header("stored", 2), Uint8Array.of(1, 2));
    blocks.decode(header("stored", 2), Uint8Array.of(3, 4));
    expect(() => blocks.decode(COMPRESSED, match(4))).toThrow("outside the window");
    expect([...blocks.decode(COMPRESSED, match(3))]).toEqual([2, 3, 4]);
  });

  test.each([
    ["a frame before", (blocks: ZstdBlocks) => blocks.begin(1024)],
    [
      "memory that was freed",
      (blocks: ZstdBlocks) => {
        blocks.forget();
        blocks.begin(1024);
      },
    ],
  ])("don't reach into %s", (_, after) => {
    const blocks = begun(1024);
    blocks.decode(header("stored", 2), Uint8Array.of(1, 2));
    after(blocks);
    expect(() => blocks.decode(COMPRESSED, match(1))).toThrow("outside the window");
  });

  test("don't repeat the tables or the offsets of a frame before", () => {
    const blocks = begun(1024);
    blocks.decode(header("run", 100), Uint8Array.of(1));
    blocks.decode(COMPRESSED, match(3));
    const repeated = Uint8Array.of(0, 1, 0b11_11_11_00, ...packBackward([[0, 2]]));
    expect([...blocks.decode(COMPRESSED, repeated)]).toEqual([1, 1, 1]);
    blocks.begin(1024);
    blocks.decode(header("run", 100), Uint8Array.of(1));
    expect(() => blocks.decode(COMPRESSED, repeated)).toThrow("damaged");
  });
});
