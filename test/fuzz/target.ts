import type { StoreErrorCode } from "../../src/error.ts";
import type { Random } from "../crash/random.ts";

/** A parser under test. */
export interface Target {
  readonly name: string;
  /** What real programs wrote, that inputs are made of. */
  readonly samples: readonly Uint8Array[];
  /** What means something to the parser, to be put in. */
  readonly words?: readonly string[];
  /** How many inputs it takes by default, where a million take too long; and why. */
  readonly inputs?: { readonly count: number; readonly why: string };
  /** That there is nothing that it refuses. */
  readonly takesAll?: true;
  /** What it may refuse with: `invalid` if not given. */
  readonly codes?: readonly StoreErrorCode[];
  /**
   * Gives the input to the parser, and checks what came of it. Throws a `StoreError` if the input is refused; whatever else it throws is a
   * failure. `random` is for choices, such as where to cut it in pieces.
   */
  run(input: Uint8Array, random: Random): void | Promise<void>;
}

/** That a parser did not keep a promise. */
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

/** `bytes` in pieces: most often a few, at times one each. */
export function* inPieces(bytes: Uint8Array, random: Random): Generator<Uint8Array> {
  const longest = random.chance(0.01) ? 3 : random.whole(1, Math.max(1, bytes.length));
  for (let at = 0; at < bytes.length; ) {
    const length = random.whole(1, longest);
    yield bytes.slice(at, at + length);
    at += length;
  }
}

/** The same, as something that comes. */
export async function* arriving(bytes: Uint8Array, random: Random): AsyncGenerator<Uint8Array> {
  yield* inPieces(bytes, random);
}
