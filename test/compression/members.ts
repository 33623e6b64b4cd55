import { concatBytes, utf8 } from "../../src/bytes.ts";

/** Formats in which several members may follow each other. The names are those of NARInfo files. */
export const WITH_MEMBERS = ["gzip", "bzip2", "xz", "zstd", "lz4", "lzip"] as const;
export const SINGLE = ["lzma", "br"] as const;

/** Content of the members `one` and `two`: see make-samples.sh. */
const lines = (from: number, to: number): string => Array.from({ length: to - from + 1 }, (_, i) => `${from + i}\n`).join("");
const ONE = lines(1, 150);
const TWO = lines(151, 300);

export interface Members {
  readonly one: Uint8Array;
  readonly two: Uint8Array;
  readonly nothing: Uint8Array;
}

interface Input {
  readonly bytes: Uint8Array;
  /** Decompressed content. `undefined` if the input must be refused. */
  readonly content: string | undefined;
}

const zeros = (length: number): Uint8Array => new Uint8Array(length);

/**
 * Inputs for the rule about bytes after a member, in decompress.ts. They consist of members that
 * real programs wrote.
 */
export function inputs(compression: string, { one, two, nothing }: Members): Record<string, Input> {
  const hasMembers = (WITH_MEMBERS as readonly string[]).includes(compression);
  const input = (content: string | undefined, ...parts: Uint8Array[]): Input => ({ bytes: concatBytes(parts), content });
  const joined = (content: string, ...parts: Uint8Array[]): Input => input(hasMembers ? content : undefined, ...parts);
  const found: Record<string, Input> = {
    "one member": input(ONE, one),
    "a member with nothing in it": input("", nothing),
    "two members": joined(ONE + TWO, one, two),
    "many members": joined(ONE + TWO + ONE + TWO, one, two, nothing, one, nothing, nothing, two),
    "nothing, then something": joined(ONE, nothing, one),
    "something, then nothing": joined(ONE, one, nothing),
    "no bytes": input(undefined),
    "zeros alone": input(undefined, zeros(100)),
    "a zero before": input(undefined, zeros(1), one),
    "a line feed after": input(undefined, one, utf8("\n")),
    "text after": input(undefined, one, utf8("something else")),
    "text after zeros": input(undefined, one, zeros(512), utf8("something else")),
    "text between": input(undefined, one, utf8("something else"), two),
    "the end of a member after": input(undefined, one, two.subarray(two.length - 12)),
  };
  for (const count of [1, 2, 3, 4, 7, 512, 10_241, 100_000]) {
    found[`${count} zeros after`] = input(ONE, one, zeros(count));
    found[`${count} zeros between`] = joined(ONE + TWO, one, zeros(count), two);
    found[`${count} zeros after two`] = joined(ONE + TWO, one, zeros(count), two, zeros(count));
  }
  // A member may be cut anywhere. The last bytes of zstd and bzip2 members are checksums.
  for (const count of [
    1,
    2,
    3,
    4,
    5,
    6,
    8,
    10,
    12,
    13,
    18,
    20,
    24,
    40,
    two.length - 12,
    two.length - 9,
    two.length - 8,
    two.length - 4,
    two.length - 1,
  ]) {
    found[`a second member of ${count} bytes`] = input(undefined, one, two.subarray(0, count));
    found[`a member of ${count} bytes`] = input(undefined, two.subarray(0, count));
    found[`a member of ${count} bytes, then another`] = input(undefined, two.subarray(0, count), one);
  }
  for (const [i, at] of [two.length - 1, two.length - 5, two.length >> 1, 0].entries()) {
    const damaged = two.slice();
    damaged[at] = (damaged[at] as number) ^ 0x40;
    // lzma and brotli have no checksum, so the damage would go unnoticed.
    if (hasMembers) found[`a second member that is damaged, ${i}`] = input(undefined, one, damaged);
  }
  return found;
}
