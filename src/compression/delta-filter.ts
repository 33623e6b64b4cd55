import type { XzFilter } from "./xz-filter.ts";

/**
 * The delta filter of .xz: each byte was stored as its difference to the byte some `distance`
 * before.
 */
export class DeltaFilter implements XzFilter {
  /** The last `distance` bytes, as a ring. */
  readonly #last: Uint8Array;
  #at = 0;

  /** @param distance 1 to 256, in bytes */
  constructor(distance: number) {
    this.#last = new Uint8Array(distance);
  }

  decode(bytes: Uint8Array): number {
    const last = this.#last;
    let at = this.#at;
    for (let i = 0; i < bytes.length; i++) {
      const byte = ((bytes[i] as number) + (last[at] as number)) & 0xff;
      bytes[i] = byte;
      last[at++] = byte;
      if (at === last.length) at = 0;
    }
    this.#at = at;
    return bytes.length;
  }
}
