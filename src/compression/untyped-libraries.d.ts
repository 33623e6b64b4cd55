declare module "unbzip2-stream/lib/bzip2.js" {
  /** Reads bits; with `null`, up to the end of the byte. */
  type Bits = (count: number | null) => number;
  const bzip2: {
    /** The level, 1 to 9. @throws Error */
    header(bits: Bits): number;
    /**
     * Decodes a block, or the end of the stream.
     *
     * @param memory of `size` numbers
     * @param crc of the blocks before, 0 at first
     * @returns that with this one; `null` after the end
     * @throws Error
     */
    decompress(bits: Bits, write: (byte: number) => void, memory: Int32Array, size: number, crc: number): number | null;
  };
  export default bzip2;
}
