// The dictionary: a ring buffer of the last output. The caller takes the output out of it, and
// makes room when the end of the buffer is reached.

import { DICTIONARY, INPUT } from "./layout";

/** Length of the buffer in bytes. */
export let length: u32 = 0;
/** Offset at which the next byte is written. */
export let at: u32 = 0;
/** Number of bytes to which matches may refer. It is not exact beyond the largest dictionary. */
export let full: u32 = 0;
/** Bytes of the last match that did not fit before the end of the buffer. */
let pending: u32 = 0;

/** Empties the dictionary. The next byte goes to the start of the buffer. */
export function empty(): void {
  at = full = pending = 0;
}

/** Makes the output so far unknown to later matches. */
export function forgetOutput(): void {
  full = 0;
}

export function setLength(bytes: u32): void {
  length = bytes;
}

/** Continues at the start of the buffer. */
export function wrap(): void {
  at = 0;
}

/** Appends `count` bytes of the input. They fit before the end of the buffer. */
export function append(from: u32, count: u32): void {
  memory.copy(DICTIONARY + at, INPUT + from, count);
  at += count;
  note(count);
}

/** Counts bytes to which matches may refer from now on. */
export function note(count: u32): void {
  full = min(full + count, 0x40000000);
}

// @ts-ignore: AssemblyScript allows decorators of functions.
@inline export function put(byte: u32): void {
  store<u8>(DICTIONARY + at, byte);
  at += 1;
}

/** Returns the byte `distance` bytes before the last one. */
// @ts-ignore: AssemblyScript allows decorators of functions.
@inline export function byteBack(distance: u32): u32 {
  let from = at - distance - 1;
  if (<i32>from < 0) from += length;
  return load<u8>(DICTIONARY + from);
}

/**
 * Copies a match as far as it fits before the end of the buffer.
 *
 * @returns the number of bytes copied
 */
export function copy(distance: u32, wanted: u32): u32 {
  const count = min(wanted, length - at);
  pending = wanted - count;
  let from = at - distance - 1;
  let to = DICTIONARY + at;
  const end = to + count;
  at += count;
  if (<i32>from < 0) {
    from += length;
    if (from + count > length) {
      for (; to < end; to++) {
        store<u8>(to, load<u8>(DICTIONARY + from));
        from = from + 1 == length ? 0 : from + 1;
      }
      return count;
    }
  }
  let source = DICTIONARY + from;
  // The bytes after a match can be the oldest ones of the dictionary, so they stay as they are.
  if (distance >= 7) {
    for (; to + 8 <= end; to += 8) {
      store<u64>(to, load<u64>(source));
      source += 8;
    }
  }
  for (; to < end; to++) {
    store<u8>(to, load<u8>(source));
    source++;
  }
  return count;
}

/**
 * Copies more of the match that did not fit.
 *
 * @returns the number of bytes copied
 */
export function copyPending(distance: u32): u32 {
  return pending ? copy(distance, pending) : 0;
}
