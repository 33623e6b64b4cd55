import { viewOf } from "../bytes.ts";
import type { XzFilter } from "./xz-filter.ts";

/** The longest pair of instructions, in bytes. */
const PAIR = 8;
const JAL = 0xef;
const AUIPC = 0x17;

/**
 * The branch filter of .xz for RISC-V. It changes JAL that call functions, and pairs of AUIPC and
 * an instruction that uses its register.
 */
export class RiscvFilter implements XzFilter {
  decode(bytes: Uint8Array, position: number): number {
    const view = viewOf(bytes);
    let at = 0;
    while (at + PAIR <= bytes.length) {
      const first = bytes[at] as number;
      const here = (position + at) >>> 0;
      if (first === JAL) at += decodeJal(view, at, here);
      else if ((first & 0x7f) === AUIPC) at += decodeAuipc(view, at, here);
      else at += 2;
    }
    return at;
  }
}

/** @returns how many bytes are done */
function decodeJal(view: DataView, at: number, position: number): number {
  const [one, two, three] = [view.getUint8(at + 1), view.getUint8(at + 2), view.getUint8(at + 3)];
  // Calls write the return address to x1 or x5.
  if ((one & 0x0d) !== 0) return 2;
  // Here the bits of the target are in order. The instruction has its distance's bits mixed.
  const distance = (((one & 0xf0) << 13) | (two << 9) | (three << 1)) - position;
  view.setUint8(at + 1, (one & 0x0f) | ((distance >>> 8) & 0xf0));
  view.setUint8(at + 2, ((distance >>> 16) & 0x0f) | ((distance >>> 7) & 0x10) | ((distance << 4) & 0xe0));
  view.setUint8(at + 3, ((distance >>> 4) & 0x7f) | ((distance >>> 13) & 0x80));
  return 4;
}

/** @returns how many bytes are done */
function decodeAuipc(view: DataView, at: number, position: number): number {
  const first = view.getUint32(at, true);
  if ((first & 0xe80) !== 0) {
    // The original pair looked like a changed pair, so the encoder exchanged its halves.
    const second = view.getUint32(at + 4, true);
    if ((((first << 8) ^ (second - 3)) & 0xf8003) !== 0) return 6;
    write(view, at, AUIPC | (2 << 7) | (second << 12), (first & 0xfffff000) + (second >>> 20));
    return PAIR;
  }
  const register = first >>> 27;
  if (((first - 0x3117) << 18) >>> 0 >= (register & 0x1d)) return 4;
  const distance = view.getUint32(at + 4, false) - position;
  write(view, at, AUIPC | (register << 7) | ((distance + 0x800) & 0xfffff000), (first >>> 12) | (distance << 20));
  return PAIR;
}

function write(view: DataView, at: number, first: number, second: number): void {
  view.setUint32(at, first, true);
  view.setUint32(at + 4, second, true);
}
