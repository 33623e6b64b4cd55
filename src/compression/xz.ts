import type { CompressedInput } from "./compressed-input.ts";
import { LzmaMemory, MAX_DICTIONARY } from "./lzma-memory.ts";
import { decodeLzma2, Lzma2Chunks } from "./lzma2.ts";
import { beginCheck, beginIndexCheck, headerCrc32, type XzCheck } from "./xz-check.ts";
import { blockFilters } from "./xz-filters.ts";
import { type BlockHeader, parseBlockHeader, parseStreamFooter, parseStreamHeader, STREAM_HEADER } from "./xz-headers.ts";
import { XzIndex } from "./xz-index.ts";

/**
 * Makes a decoder of streams of the .xz file format, version 1.2.1, one a call. It checks all
 * checksums and sizes.
 */
export function xzDecoder(): (input: CompressedInput) => AsyncGenerator<Uint8Array> {
  const memory = new LzmaMemory();
  return async function* (input) {
    yield* new XzStream(input, memory, await headerCrc32()).read();
  };
}

class XzStream {
  readonly #input: CompressedInput;
  readonly #memory: LzmaMemory;
  readonly #crc32: (bytes: Uint8Array) => number;

  constructor(input: CompressedInput, memory: LzmaMemory, crc32: (bytes: Uint8Array) => number) {
    this.#input = input;
    this.#memory = memory;
    this.#crc32 = crc32;
  }

  /** @throws StoreError `unavailable` if a decoder can't be loaded, or if too many uploads wait */
  async *read(): AsyncGenerator<Uint8Array> {
    const input = this.#input;
    await input.need(STREAM_HEADER);
    const type = parseStreamHeader(input.take(STREAM_HEADER), this.#crc32);
    const index = new XzIndex();
    while (true) {
      await input.need(1);
      const coded = input.bytes[0] as number;
      // The index begins with a zero.
      if (coded === 0) break;
      const headerLength = (coded + 1) * 4;
      await input.need(headerLength);
      const header = parseBlockHeader(input.take(headerLength), this.#crc32);
      const check = await beginCheck(type);
      const { compressedSize, size } = yield* this.#block(header, check);
      index.add(headerLength + compressedSize + check.length, size);
    }
    const indexSize = await index.read(input, await beginIndexCheck());
    await input.need(STREAM_HEADER);
    const footer = parseStreamFooter(input.take(STREAM_HEADER), this.#crc32);
    if (footer.check !== type || footer.indexSize !== indexSize) throw new Error("a stream's end is damaged");
  }

  async *#block(header: BlockHeader, check: XzCheck): AsyncGenerator<Uint8Array, { compressedSize: number; size: number }> {
    const input = this.#input;
    const { chain, dictionarySize } = blockFilters(header.filters);
    if (dictionarySize > MAX_DICTIONARY)
      throw new Error(`it wants ${dictionarySize} bytes of memory, of which ${MAX_DICTIONARY} are allowed`);
    const decoder = await this.#memory.open(input, dictionarySize);
    const start = input.taken;
    let size = 0;
    const chunks = new Lzma2Chunks();
    for (let chunk = await chunks.next(input); chunk; chunk = await chunks.next(input)) {
      size += chunk.size;
      if (size > (header.size ?? size)) throw new Error("a block has more content than it says");
      for (const piece of decodeLzma2(decoder, chunk)) {
        const content = chain.push(piece);
        check.update(content);
        if (content.length > 0) yield content;
      }
    }
    for (const content of chain.end()) {
      check.update(content);
      if (content.length > 0) yield content;
    }
    const compressedSize = input.taken - start;
    if ((header.size ?? size) !== size || (header.compressedSize ?? compressedSize) !== compressedSize)
      throw new Error("a block has another size than it says");
    const padding = -compressedSize & 3;
    await input.need(padding + check.length);
    if (input.take(padding).some((byte) => byte !== 0)) throw new Error("a block's padding is damaged");
    if (!check.is(input.take(check.length))) throw new Error("a block has another check than it says");
    return { compressedSize, size };
  }
}
