import { concatBytes, utf8 } from "../../src/bytes.ts";
import { Random } from "../crash/random.ts";
import type { Target } from "./target.ts";

/** Maximum length of an input, in bytes. */
const MAX_LENGTH = 64 * 1024;
/** Maximum number of changes to one input. */
const MAX_CHANGES = 6;

/** Numbers at which sizes and loops often go wrong. */
const LIMITS: readonly bigint[] = [0, 7, 8, 15, 16, 31, 32, 53, 62, 63, 64].flatMap((bits) => {
  const limit = 1n << BigInt(bits);
  return [limit - 1n, limit, limit + 1n];
});

/**
 * Makes the input with this index. It only depends on the seed, the target and the index, so it can
 * be reproduced.
 */
export function makeInput(target: Target, seed: number, index: number): { input: Uint8Array; random: Random } {
  const random = new Random(seed, hashOf(target.name), index);
  let input = random.pick(target.samples);
  // Leave some samples unchanged: otherwise a parser that refuses everything would pass.
  const changes = random.chance(0.02) ? 0 : 1 + Math.floor(MAX_CHANGES * random.fraction() ** 2);
  for (let i = 0; i < changes; i++) input = change(input, target, random);
  return { input: input.slice(0, MAX_LENGTH), random };
}

type Change = (bytes: Uint8Array, target: Target, random: Random) => Uint8Array;

const CHANGES: readonly Change[] = [
  function flipBit(bytes, _, random) {
    return overwritten(bytes, random, (byte) => byte ^ (1 << random.whole(0, 7)));
  },
  function setByte(bytes, _, random) {
    return overwritten(bytes, random, () => random.pick([0, 1, 0x0a, 0x20, 0x22, 0x2f, 0x5c, 0x7f, 0x80, 0xc0, 0xff]));
  },
  function nextByte(bytes, _, random) {
    return overwritten(bytes, random, (byte) => byte + random.pick([-1, 1]));
  },
  function cutOff(bytes, _, random) {
    return bytes.slice(0, random.whole(0, bytes.length));
  },
  function cutOut(bytes, _, random) {
    const [from, to] = range(bytes, random);
    return spliced(bytes, from, to, new Uint8Array());
  },
  function repeat(bytes, _, random) {
    const [from, to] = range(bytes, random);
    const part = bytes.subarray(from, to);
    const times = Math.min(random.pick([1, 2, 8, 300]), Math.floor(MAX_LENGTH / (part.length + 1)));
    return spliced(bytes, to, to, concatBytes(Array.from({ length: times }, () => part)));
  },
  function move(bytes, _, random) {
    const [from, to] = range(bytes, random);
    const at = random.whole(0, bytes.length);
    return spliced(bytes, at, at, bytes.slice(from, to));
  },
  function splice(bytes, { samples }, random) {
    const other = random.pick(samples);
    const [from, to] = range(other, random);
    const [start, end] = range(bytes, random);
    return spliced(bytes, start, random.chance(0.5) ? start : end, other.subarray(from, to));
  },
  function cross(bytes, { samples }, random) {
    const other = random.pick(samples);
    return concatBytes([bytes.subarray(0, random.whole(0, bytes.length)), other.subarray(random.whole(0, other.length))]);
  },
  function insertWord(bytes, { words = [] }, random) {
    if (words.length === 0) return insertBytes(bytes, random);
    const at = random.whole(0, bytes.length);
    return spliced(bytes, at, at, utf8(random.pick(words)));
  },
  function insertSome(bytes, _, random) {
    return insertBytes(bytes, random);
  },
  function limitAsBytes(bytes, _, random) {
    const limit = random.pick(LIMITS);
    const width = random.pick([1, 2, 4, 8]);
    const number = new Uint8Array(8);
    new DataView(number.buffer).setBigUint64(0, BigInt.asUintN(64, limit), true);
    const little = number.slice(0, width);
    const at = random.whole(0, Math.max(0, bytes.length - width));
    // In most formats, numbers are at multiples of their width.
    const start = random.chance(0.5) ? at - (at % width) : at;
    return spliced(bytes, start, Math.min(bytes.length, start + width), random.chance(0.5) ? little : little.reverse());
  },
  function limitAsVarint(bytes, _, random) {
    const varint: number[] = [];
    for (let left = BigInt.asUintN(70, random.pick(LIMITS)); ; left >>= 7n) {
      varint.push(Number(left & 127n) | (left > 127n ? 128 : 0));
      if (left <= 127n) break;
    }
    const at = random.whole(0, bytes.length);
    return spliced(bytes, at, Math.min(bytes.length, at + random.whole(0, 2)), Uint8Array.from(varint));
  },
  function limitAsText(bytes, _, random) {
    const text = (random.chance(0.2) ? "-" : "") + random.pick(LIMITS).toString(random.pick([8, 10, 16]));
    const digits = digitsNear(bytes, random.whole(0, Math.max(0, bytes.length - 1)));
    return spliced(bytes, digits.from, digits.to, utf8(text));
  },
];

function change(bytes: Uint8Array, target: Target, random: Random): Uint8Array {
  return random.pick(CHANGES)(bytes, target, random);
}

function overwritten(bytes: Uint8Array, random: Random, value: (byte: number) => number): Uint8Array {
  if (bytes.length === 0) return bytes;
  const changed = bytes.slice();
  const at = random.whole(0, bytes.length - 1);
  changed[at] = value(changed[at] as number);
  return changed;
}

function insertBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const some = Uint8Array.from({ length: random.whole(1, 16) }, () => random.whole(0, 255));
  const at = random.whole(0, bytes.length);
  return spliced(bytes, at, at, some);
}

/** Chooses a range: short in half of the cases, of any length in the other half. */
function range(bytes: Uint8Array, random: Random): [from: number, to: number] {
  const from = random.whole(0, bytes.length);
  const longest = random.chance(0.5) ? 16 : bytes.length;
  return [from, Math.min(bytes.length, from + random.whole(0, longest))];
}

function digitsNear(bytes: Uint8Array, at: number): { from: number; to: number } {
  const isDigit = (i: number): boolean => (bytes[i] ?? 0) >= 0x30 && (bytes[i] ?? 0) <= 0x39;
  let from = at;
  while (from < bytes.length && !isDigit(from)) from++;
  let to = from;
  while (isDigit(to)) to++;
  return { from, to };
}

function spliced(bytes: Uint8Array, from: number, to: number, inserted: Uint8Array): Uint8Array {
  const changed = new Uint8Array(bytes.length - (to - from) + inserted.length);
  changed.set(bytes.subarray(0, from));
  changed.set(inserted, from);
  changed.set(bytes.subarray(to), from + inserted.length);
  return changed;
}

function hashOf(text: string): number {
  let hash = 0;
  for (const char of text) hash = (Math.imul(hash, 31) + (char.codePointAt(0) ?? 0)) | 0;
  return hash;
}
