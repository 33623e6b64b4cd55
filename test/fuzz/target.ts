import type { StoreErrorCode } from "../../src/error.ts";
import type { Random } from "../crash/random.ts";

/** A parser under test. */
export interface Target {
  readonly name: string;
  /** Data written by real programs, from which inputs are made. */
  readonly samples: readonly Uint8Array[];
  /** Words with a meaning for the parser, which are inserted into inputs. */
  readonly words?: readonly string[];
  /** Default number of inputs, if a million would take too long, and the reason. */
  readonly inputs?: { readonly count: number; readonly why: string };
  /** Set if the parser never refuses an input. */
  readonly takesAll?: true;
  /** Error codes with which the parser may refuse an input: by default only `invalid`. */
  readonly codes?: readonly StoreErrorCode[];
  /**
   * Gives the input to the parser and checks the result. Throws a `StoreError` if the parser
   * refuses the input. Any other error is a failure. `random` is for choices, such as where to cut
   * the input into pieces.
   */
  run(input: Uint8Array, random: Random): void | Promise<void>;
}

/** A parser broke a promise. */
export class Broken extends Error {
  override readonly name = "Broken";
}

export function expectEqual(actual: unknown, expected: unknown, what: string): void {
  const [a, b] = [shown(actual), shown(expected)];
  if (a !== b) throw new Broken(`${what}: ${a.slice(0, 500)} is not ${b.slice(0, 500)}`);
}

function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  return JSON.stringify(value, (_, item: unknown) => {
    if (typeof item === "bigint") return `${item}n`;
    if (item instanceof Uint8Array) return Buffer.from(item).toString("hex");
    if (item instanceof Map || item instanceof Set) return [...item];
    if (typeof item !== "object" || item === null || Array.isArray(item)) return item;
    return Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)));
  });
}

/** Cuts `bytes` into pieces: usually a few, sometimes of at most three bytes. */
export function* inPieces(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  const longest = random.chance(0.01) ? 3 : random.whole(1, Math.max(1, bytes.length));
  for (let at = 0; at < bytes.length; ) {
    const length = random.whole(1, longest);
    yield bytes.slice(at, at + length);
    at += length;
  }
}

/** Like `inPieces`, as an asynchronous source. */
export async function* arriving(bytes: Uint8Array, random: Random): AsyncGenerator<Uint8Array> {
  yield* inPieces(bytes, random);
}
