import type { CompressedInput } from "./compressed-input.ts";
import type { XzCheck } from "./xz-check.ts";
import { LONGEST_INTEGER, parseInteger } from "./xz-headers.ts";

interface Sums {
  count: number;
  unpadded: number;
  size: number;
  /** A hash of the sizes in their order. */
  hash: number;
}

/**
 * Compares the index at a stream's end with the blocks. A stream may have any number of blocks, so
 * this keeps their number, sums and a hash.
 */
export class XzIndex {
  readonly #blocks: Sums = { count: 0, unpadded: 0, size: 0, hash: 0 };

  /**
   * @param unpadded length of the block without its padding, in bytes
   * @param size length of its content
   */
  add(unpadded: number, size: number): void {
    add(this.#blocks, unpadded, size);
  }

  /**
   * Reads the index.
   *
   * @param check CRC-32 of the index
   * @returns its length in bytes
   * @throws Error if it is damaged or is another stream's
   */
  async read(input: CompressedInput, check: XzCheck): Promise<number> {
    const start = input.taken;
    const found: Sums = { count: 0, unpadded: 0, size: 0, hash: 0 };
    const integer = async (): Promise<number> => {
      await input.has(LONGEST_INTEGER);
      const { value, length } = parseInteger(input.bytes, 0);
      check.update(input.take(length));
      return value;
    };
    // The indicator, which is zero.
    check.update(input.take(1));
    const count = await integer();
    if (count !== this.#blocks.count) throw new Error("the index is damaged");
    for (let i = 0; i < count; i++) add(found, await integer(), await integer());
    const padding = -(input.taken - start) & 3;
    await input.need(padding + 4);
    const zeros = input.take(padding);
    check.update(zeros);
    const isPadded = zeros.every((byte) => byte === 0);
    const isWhole = check.is(input.take(check.length));
    const { unpadded, size, hash } = this.#blocks;
    if (!isPadded || !isWhole || found.unpadded !== unpadded || found.size !== size || found.hash !== hash)
      throw new Error("the index is damaged");
    return input.taken - start;
  }
}

function add(sums: Sums, unpadded: number, size: number): void {
  sums.count++;
  sums.unpadded += unpadded;
  sums.size += size;
  // FNV-1a, of numbers in place of bytes.
  for (const value of [unpadded, size]) sums.hash = Math.imul(sums.hash ^ (value % 2 ** 32), 0x01000193);
}
