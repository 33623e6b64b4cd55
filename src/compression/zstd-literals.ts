import { decodeHuffman, type HuffmanTable, readHuffmanTable } from "./zstd-huffman.ts";

/**
 * Decodes the literals of a frame's blocks. It keeps the last Huffman table, because later blocks
 * may reuse it.
 */
export class ZstdLiterals {
  #table: HuffmanTable | undefined;
  #memory = new Uint8Array(0);

  /** Begins a frame. */
  begin(): void {
    this.#table = undefined;
  }

  /**
   * Decodes the literals at the beginning of a compressed block (RFC 8878, 3.1.1.3.1).
   *
   * @param limit maximum number of literals
   * @returns the literals, valid until the next call, and the length of their section in bytes
   * @throws Error if the block is damaged
   */
  decode(block: Uint8Array, limit: number): [literals: Uint8Array, length: number] {
    const [b0 = 0, b1 = 0, b2 = 0, b3 = 0, b4 = 0] = block;
    const type = b0 & 3;
    const format = (b0 >> 2) & 3;
    if (type < 2) {
      const headerLength = format === 1 ? 2 : format === 3 ? 3 : 1;
      const size = format === 1 ? (b0 >> 4) | (b1 << 4) : format === 3 ? (b0 >> 4) | (b1 << 4) | (b2 << 12) : b0 >> 3;
      const length = headerLength + (type === 0 ? size : 1);
      if (size > limit || length > block.length) throw new Error("a block is damaged");
      if (type === 0) return [block.subarray(headerLength, length), length];
      return [this.#room(size).fill(block[headerLength] as number), length];
    }
    const headerLength = format < 2 ? 3 : format + 2;
    const word = b0 | (b1 << 8) | (b2 << 16) | (b3 << 24);
    const [size, packed] =
      format < 2
        ? [(word >>> 4) & 0x3ff, (word >>> 14) & 0x3ff]
        : format === 2
          ? [(word >>> 4) & 0x3fff, word >>> 18]
          : [(word >>> 4) & 0x3ffff, (word >>> 22) | (b4 << 10)];
    const length = headerLength + packed;
    if (size > limit || length > block.length) throw new Error("a block is damaged");
    let section = block.subarray(headerLength, length);
    if (type === 2) {
      const [table, tableLength] = readHuffmanTable(section);
      this.#table = table;
      section = section.subarray(tableLength);
    }
    if (!this.#table) throw new Error("a block is damaged");
    const literals = this.#room(size);
    if (format === 0) decodeHuffman(this.#table, section, literals);
    else decodeFour(this.#table, section, literals);
    return [literals, length];
  }

  #room(size: number): Uint8Array {
    if (this.#memory.length < size) this.#memory = new Uint8Array(size);
    return this.#memory.subarray(0, size);
  }
}

/** Decodes four streams. The lengths of the first three come before them. */
function decodeFour(table: HuffmanTable, section: Uint8Array, literals: Uint8Array): void {
  const each = (literals.length + 3) >> 2;
  if (section.length < 6 || 3 * each > literals.length) throw new Error("a block is damaged");
  let at = 6;
  for (let i = 0; i < 4; i++) {
    const length = (section[2 * i] as number) | ((section[2 * i + 1] as number) << 8);
    const end = i < 3 ? at + length : section.length;
    if (end > section.length) throw new Error("a block is damaged");
    decodeHuffman(table, section.subarray(at, end), literals.subarray(i * each, i < 3 ? (i + 1) * each : literals.length));
    at = end;
  }
}
