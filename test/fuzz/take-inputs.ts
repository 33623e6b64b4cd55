import { isStoreError } from "../../src/error.ts";
import { makeInput } from "./mutator.ts";
import type { Target } from "./target.ts";

export interface Taken {
  accepted: number;
  refused: number;
}

/** An input that a parser handled wrongly. */
export interface Failure {
  readonly index: number;
  readonly reason: string;
}

export interface Span {
  readonly seed: number;
  readonly from: number;
  /** Index after the last input. */
  readonly to: number;
}

/**
 * Gives inputs to a parser until one fails.
 *
 * @param before is called with the index of each input, and returns a problem found before it, if
 *   any
 */
export async function takeInputs(
  target: Target,
  { seed, from, to }: Span,
  taken: Taken,
  before: (index: number) => Promise<string | undefined> | undefined = () => undefined,
): Promise<Failure | undefined> {
  for (let index = from; index < to; index++) {
    const looking = before(index);
    const problem = looking && (await looking);
    if (problem !== undefined) return { index, reason: problem };
    const { input, random } = makeInput(target, seed, index);
    try {
      const running = target.run(input, random);
      if (running) await running;
      taken.accepted++;
    } catch (error) {
      if (!isStoreError(error) || !(target.codes ?? ["invalid"]).includes(error.code)) return { index, reason: reasonOf(error) };
      taken.refused++;
    }
  }
  return undefined;
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const cause = error.cause instanceof Error ? `\n  because of ${error.cause.stack ?? error.cause.message}` : "";
  return `${isStoreError(error) ? `(${error.code}) ` : ""}${error.stack ?? error.message}${cause}`;
}
