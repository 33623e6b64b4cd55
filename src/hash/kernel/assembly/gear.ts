import { SINES } from "./constants";

/**
 * The gear table of 256 u64 values. Each is the first 8 bytes, big-endian, of the MD5 digest of 64
 * bytes that all equal the index.
 */
export const GEAR: usize = 6144;

export let gearMade: bool = false;

/**
 * Computes the table at the first cut. Stored as data, its 2 KiB would be a third of the compressed
 * module.
 */
export function makeGear(): void {
  for (let value: u32 = 0; value < 256; value += 1) {
    let a: u32 = 0x67452301, b: u32 = 0xefcdab89, c: u32 = 0x98badcfe, d: u32 = 0x10325476;
    // The second block is padding: a one bit, and the length of 512 bits.
    for (let block: u32 = 0; block < 2; block += 1) {
      const a0 = a, b0 = b, c0 = c, d0 = d;
      for (let i: u32 = 0; i < 64; i += 1) {
        const round = i >> 4;
        let f: u32, word: u32, turns: u32;
        if (round === 0) { f = (b & c) | (~b & d); word = i; turns = 0x16110c07; }
        else if (round === 1) { f = (d & b) | (~d & c); word = 5 * i + 1; turns = 0x140e0905; }
        else if (round === 2) { f = b ^ c ^ d; word = 3 * i + 5; turns = 0x17100b04; }
        else { f = c ^ (b | ~d); word = 7 * i; turns = 0x150f0a06; }
        word &= 15;
        const m: u32 = block ? (word === 0 ? 0x80 : word === 14 ? 512 : 0) : value * 0x01010101;
        f = a + f + m + load<u32>(SINES + (<usize>i << 2));
        a = d;
        d = c;
        c = b;
        b += rotl<u32>(f, (turns >> ((i & 3) << 3)) & 31);
      }
      a += a0; b += b0; c += c0; d += d0;
    }
    store<u64>(GEAR + (<usize>value << 3), (<u64>bswap<u32>(a) << 32) | bswap<u32>(b));
  }
  gearMade = true;
}
