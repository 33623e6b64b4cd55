// Decodes LZMA as the LZMA SDK specifies it.

import { append, at, byteBack, copy, copyPending, empty, forgetOutput, full, length, note, put } from "./dictionary";
import {
  IS_MATCH,
  IS_REP,
  IS_REP_G0,
  IS_REP_G1,
  IS_REP_G2,
  IS_REP0_LONG,
  LENGTH_HIGH,
  LENGTH_LOW,
  LENGTH_MIDDLE,
  LITERALS,
  MATCH_LENGTH,
  POSITION_ALIGN,
  POSITION_SLOT,
  POSITION_SPECIAL,
  REP_LENGTH,
} from "./layout";
import { bit, byteLike, directBits, forget, reverseTree, rewind, taken, tree } from "./range-decoder";

export { at, length, setLength as set_length, wrap } from "./dictionary";
export { begin, code, taken } from "./range-decoder";

/** Results of `run`. */
const MORE: i32 = 0;
const MARKER: i32 = 1;
const DAMAGED: i32 = 2;
const TOO_LONG: i32 = 3;

const MIN_MATCH: u32 = 2;
const END_MARKER: u32 = 0xffffffff;

let lc: u32 = 0;
let literalMask: u32 = 0;
let positionMask: u32 = 0;
let dictionarySize: u32 = 0;

let state: u32 = 0;
/** The last four distances, less one. */
let rep0: u32 = 0;
let rep1: u32 = 0;
let rep2: u32 = 0;
let rep3: u32 = 0;
/** Lower bits of the number of bytes since the dictionary was forgotten. */
let position: u32 = 0;

/** Begins a new content, with the maximum distance of a match in bytes. */
export function open(size: u32): void {
  dictionarySize = size;
  empty();
  position = 0;
}

export function set_properties(literalContext: u32, literalPosition: u32, matchPosition: u32): void {
  lc = literalContext;
  literalMask = (1 << literalPosition) - 1;
  positionMask = (1 << matchPosition) - 1;
}

/** Resets the state and the probabilities. The properties determine how many there are. */
export function reset_state(): void {
  state = rep0 = rep1 = rep2 = rep3 = 0;
  forget(LITERALS + 0x300 * ((literalMask + 1) << lc));
}

/** Makes the output so far unknown to later symbols. */
export function forget_dictionary(): void {
  forgetOutput();
  position = 0;
}

/** Appends `count` bytes of the input. They fit before the end of the buffer. */
export function store_input(from: u32, count: u32): void {
  append(from, count);
  position += count;
}

/**
 * Decodes until `limit` bytes of input are read, `enough` bytes of output are made, or the buffer
 * of the dictionary ends. The last symbol may read more input.
 *
 * @param rest number of bytes that the content may still have. At 0, only the end marker may come
 */
export function run(limit: u32, enough: u32, rest: u32): i32 {
  rewind();
  let made = copyPending(rep0);
  let previous: u32 = full + made ? byteBack(0) : 0;
  let result = MORE;
  while (made < enough && taken <= limit && at < length) {
    const now = (position + made) & positionMask;
    if (!bit(IS_MATCH + (state << 4) + now)) {
      if (made == rest) {
        result = TOO_LONG;
        break;
      }
      const base = LITERALS + 0x300 * ((((position + made) & literalMask) << lc) + (previous >> (8 - lc)));
      previous = state < 7 ? tree(base, 0x100) : byteLike(byteBack(rep0), base);
      put(previous);
      made++;
      state = state < 4 ? 0 : state - (state < 10 ? 3 : 6);
      continue;
    }
    const size = match(now);
    if (rep0 == END_MARKER && size) {
      result = MARKER;
      break;
    }
    if (rep0 >= full + made || rep0 >= dictionarySize) {
      result = DAMAGED;
      break;
    }
    if (size > rest - made) {
      result = TOO_LONG;
      break;
    }
    made += copy(rep0, size);
    previous = byteBack(0);
  }
  position += made;
  note(made);
  return result;
}

/** Decodes the rest of a match: its distance, which becomes `rep0`. Returns its length in bytes. */
function match(now: u32): u32 {
  if (!bit(IS_REP + state)) {
    rep3 = rep2;
    rep2 = rep1;
    rep1 = rep0;
    const size = lengthOf(MATCH_LENGTH, now);
    rep0 = distanceOf(size);
    state = state < 7 ? 7 : 10;
    return size;
  }
  if (bit(IS_REP_G0 + state)) useOlderRep();
  else if (!bit(IS_REP0_LONG + (state << 4) + now)) {
    state = state < 7 ? 9 : 11;
    return 1;
  }
  const size = lengthOf(REP_LENGTH, now);
  state = state < 7 ? 8 : 11;
  return size;
}

function useOlderRep(): void {
  let distance = rep1;
  if (bit(IS_REP_G1 + state)) {
    if (!bit(IS_REP_G2 + state)) distance = rep2;
    else {
      distance = rep3;
      rep3 = rep2;
    }
    rep2 = rep1;
  }
  rep1 = rep0;
  rep0 = distance;
}

function lengthOf(base: u32, now: u32): u32 {
  if (!bit(base)) return MIN_MATCH + tree(base + LENGTH_LOW + (now << 3), 8);
  if (!bit(base + 1)) return MIN_MATCH + 8 + tree(base + LENGTH_MIDDLE + (now << 3), 8);
  return MIN_MATCH + 16 + tree(base + LENGTH_HIGH, 256);
}

function distanceOf(size: u32): u32 {
  const slot = tree(POSITION_SLOT + (min(size - MIN_MATCH, 3) << 6), 64);
  if (slot < 4) return slot;
  const bits = (slot >> 1) - 1;
  const start = (2 | (slot & 1)) << bits;
  if (slot < 14) return start + reverseTree(POSITION_SPECIAL + start - slot, bits);
  return start + (directBits(bits - 4) << 4) + reverseTree(POSITION_ALIGN, 4);
}
