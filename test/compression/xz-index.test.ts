import { crc32 } from "node:zlib";
import { describe, expect, test } from "vitest";
import { concatBytes, viewOf } from "../../src/bytes.ts";
import { beginIndexCheck } from "../../src/compression/xz-check.ts";
import { XzIndex } from "../../src/compression/xz-index.ts";
import { inputOf } from "./streams.ts";

type Block = readonly [unpadded: number, size: number];

const BLOCKS: readonly Block[] = [
  [100, 5000],
  [2 ** 32 + 77, 2 ** 40],
  [65, 0],
];

function integer(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push(128 + (rest % 128));
  return [...bytes, rest];
}

/** An index as an encoder writes it: padded to a multiple of 4 bytes, with its CRC-32. */
function indexOf(blocks: readonly Block[], { count = blocks.length, padding = 0 } = {}): Uint8Array {
  const content = [0, ...integer(count), ...blocks.flat().flatMap(integer)];
  while (content.length % 4 !== 0) content.push(padding);
  const sum = new Uint8Array(4);
  viewOf(sum).setUint32(0, crc32(Uint8Array.from(content)), true);
  return concatBytes([Uint8Array.from(content), sum]);
}

/** Reads an index after some blocks. Returns its length. */
async function read(bytes: Uint8Array, blocks = BLOCKS, size = 3): Promise<number> {
  const index = new XzIndex();
  for (const block of blocks) index.add(...block);
  const input = inputOf(concatBytes([bytes, Uint8Array.of(9, 9)]), size);
  await input.need(1);
  const length = await index.read(input, await beginIndexCheck());
  expect(input.taken).toBe(length);
  return length;
}

const refused = (bytes: Uint8Array, blocks = BLOCKS) => expect(read(bytes, blocks)).rejects.toThrow("the index is damaged");

test("an index has the sizes of the blocks before it, with any padding", async () => {
  const paddings = new Set<number>();
  for (const blocks of [[], BLOCKS.slice(0, 1), BLOCKS.slice(0, 2), BLOCKS, [...BLOCKS, ...BLOCKS]]) {
    const bytes = indexOf(blocks);
    for (const size of [1, 3, 1000]) expect(await read(bytes, blocks, size)).toBe(bytes.length);
    paddings.add([0, blocks.length, ...blocks.flat()].flatMap(integer).length % 4);
  }
  expect(paddings.size).toBeGreaterThan(1);
});

describe("an index is refused", () => {
  test("with another number of blocks", async () => {
    await refused(indexOf(BLOCKS.slice(1)));
    await refused(indexOf([...BLOCKS, [1, 1]]));
    await refused(indexOf([]));
  });

  test.each<[string, Block[]]>([
    ["another length of a block", [[101, 5000], ...BLOCKS.slice(1)]],
    ["another size of a block's content", [[100, 4999], ...BLOCKS.slice(1)]],
    ["its blocks in another order", BLOCKS.toReversed()],
    [
      "other sizes of the same sum",
      [
        [101, 5000],
        [2 ** 32 + 76, 2 ** 40],
        [65, 0],
      ],
    ],
    [
      "a size that differs above 32 bits",
      [
        [100, 5000],
        [2 ** 33 + 77, 2 ** 40],
        [65, 0],
      ],
    ],
  ])("with %s", async (_, blocks) => {
    await refused(indexOf(blocks));
  });

  test("with padding that isn't zeros, or another CRC-32", async () => {
    const blocks = BLOCKS.slice(0, 1);
    await refused(indexOf(blocks, { padding: 1 }), blocks);
    const bytes = indexOf(blocks);
    for (const at of [0, bytes.length - 4, bytes.length - 1]) {
      const damaged = bytes.slice();
      damaged[at] = (damaged[at] as number) ^ 1;
      await refused(damaged, blocks);
    }
  });

  test("if it is cut short", async () => {
    const bytes = indexOf(BLOCKS);
    for (let length = 1; length < bytes.length - 2; length++) {
      const index = new XzIndex();
      for (const block of BLOCKS) index.add(...block);
      await expect(index.read(inputOf(bytes.subarray(0, length)), await beginIndexCheck())).rejects.toThrow();
    }
  });
});
