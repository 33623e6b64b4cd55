declare module "unbzip2-stream/lib/bzip2.js" {
  /** Reads bits; `null` skips to the end of the byte. */
  type Bits = (count: number | null) => number;
  const bzip2: {
    /**
     * Reads the header. Returns the level, 1 to 9.
     *
     * @throws Error
     */
    header(bits: Bits): number;
    /**
     * Decodes a block, or the end of the stream.
     *
     * @param memory an array of `size` numbers
     * @param crc checksum of the previous blocks, 0 at first
     * @returns the checksum that includes this block, or `null` after the end
     * @throws Error
     */
    decompress(bits: Bits, write: (byte: number) => void, memory: Int32Array, size: number, crc: number): number | null;
  };
  export default bzip2;
}
