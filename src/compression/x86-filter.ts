import { viewOf } from "../bytes.ts";
import type { XzFilter } from "./xz-filter.ts";

/** CALL and JMP with a distance of 32 bits, and the instruction's length in bytes. */
const CALL = 0xe8;
const JMP = 0xe9;
const LENGTH = 5;

/**
 * The branch filter of .xz for x86. Opcodes that stand within the last three bytes make it likely
 * that a byte is not an opcode, so the filter remembers them.
 */
export class X86Filter implements XzFilter {
  /** Position of the last opcode. */
  #last = 0;
  /** Bit k: an opcode that was not changed stood k bytes before `last`. */
  #opcodes = 0;
  /** Bit k: the highest byte of that opcode's distance was 0 or 0xff. */
  #likely = 0;

  decode(bytes: Uint8Array, position: number): number {
    const view = viewOf(bytes);
    let at = 0;
    while (at + LENGTH <= bytes.length) {
      if (bytes[at] !== CALL && bytes[at] !== JMP) {
        at++;
        continue;
      }
      const here = (position + at) >>> 0;
      const passed = (here - this.#last) >>> 0;
      this.#opcodes = passed > 3 ? 0 : (this.#opcodes << passed) & 0b1111;
      this.#likely = passed > 3 ? 0 : (this.#likely << passed) & 0b1111;
      this.#last = here;
      const isLikely = isSignByte(bytes[at + 4] as number);
      // There is at most one opcode shortly before, and its distance is not likely.
      const isSure = this.#likely === 0 && (this.#opcodes & (this.#opcodes - 1)) === 0;
      if (isLikely && isSure) {
        this.#change(view, at + 1, here + LENGTH);
        this.#opcodes = 0;
        at += LENGTH;
      } else {
        this.#opcodes |= 1;
        if (isLikely) this.#likely |= 1;
        at++;
      }
    }
    return at;
  }

  /** Makes a distance of the target at `at`. @param end position after the instruction */
  #change(view: DataView, at: number, end: number): void {
    // How many bytes before this the other opcode stood, if there is one.
    const back = 31 - Math.clz32(this.#opcodes);
    let target = view.getUint32(at, true);
    let distance = target - end;
    while (this.#opcodes !== 0) {
      // The encoder inverted the lower bits as long as the other opcode would have taken this byte
      // for the highest byte of its own distance.
      if (!isSignByte((distance >>> (24 - 8 * back)) & 0xff)) break;
      target = distance ^ (2 ** (32 - 8 * back) - 1);
      distance = target - end;
    }
    const sign = (distance >>> 24) & 1 ? 0xff : 0;
    view.setUint32(at, (distance & 0xffffff) | (sign << 24), true);
  }
}

function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}
