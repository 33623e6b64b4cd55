import type { Options } from "./bench.ts";

/** Result of a contender, for comparison with the others. */
export type Result = Uint8Array | number | readonly Result[];

export interface Contender {
  readonly name: string;
  /** Number of workers; 1 by default. */
  readonly workers?: number;
  /** How many times one run does the work; 1 by default. */
  readonly times?: number;
  run(): Result | Promise<Result>;
}

export interface Measured {
  readonly contender: Contender;
  /** Milliseconds that the work takes once, one value for each round. */
  readonly durations: readonly number[];
}

/**
 * Minimum duration of one measurement, in milliseconds. It has some reserve, because code gets
 * faster after its first measurement.
 */
const SLICE = 36;
const WARM_UP = 120;
/**
 * Work that takes longer than this, in milliseconds, is measured in at most `ROUNDS_IF_SLOW`
 * rounds: its median is stable enough.
 */
const SLOW = 400;
const ROUNDS_IF_SLOW = 5;

/**
 * Measures contenders in turn, in short slices, so that a disturbance affects all of them. Each
 * round begins with another contender.
 *
 * @throws Error if the results of the contenders differ
 */
export async function measure(contenders: readonly Contender[], { rounds }: Pick<Options, "rounds">): Promise<Measured[]> {
  await checkEqual(contenders);
  const entries: { contender: Contender; once: number; durations: number[] }[] = [];
  for (const contender of contenders) entries.push({ contender, once: await warm(contender), durations: [] });
  for (let round = 0; round < rounds; round++) {
    for (const { contender, once, durations } of [
      ...entries.slice(round % entries.length),
      ...entries.slice(0, round % entries.length),
    ]) {
      if (once > SLOW && round >= ROUNDS_IF_SLOW) continue;
      durations.push(await time(contender, Math.ceil(SLICE / once)));
    }
  }
  return entries;
}

/**
 * Measures how much longer `other` takes than `base`, in percent, once for each pair of runs. Every
 * second pair begins with `other`. Use it for differences that are smaller than the variation of a
 * median.
 */
export async function measurePairs(base: Contender, other: Contender, pairs: number): Promise<number[]> {
  await warm(base);
  await warm(other);
  const differences: number[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const [first, second] = pair % 2 === 0 ? [base, other] : [other, base];
    const a = await time(first, 1);
    const b = await time(second, 1);
    differences.push(100 * (pair % 2 === 0 ? b / a - 1 : a / b - 1));
  }
  return differences;
}

/** Minimum, median and maximum of measurements, with their number, as the fields of a row. */
export function spread(values: readonly number[]): { minimum: number; median: number; maximum: number; runs: number } {
  const rounded = (value: number): number => Number(value.toPrecision(4));
  return {
    minimum: rounded(Math.min(...values)),
    median: rounded(median(values)),
    maximum: rounded(Math.max(...values)),
    runs: values.length,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) throw new RangeError("an empty list has no median");
  if (sorted.length % 2 === 1) return sorted[middle] as number;
  return ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** Runs the contender until its code is compiled. Resolves to the milliseconds of its last run. */
async function warm(contender: Contender): Promise<number> {
  const until = performance.now() + WARM_UP;
  let last = await time(contender, 1);
  for (let runs = 1; performance.now() < until; runs *= 2) last = await time(contender, runs);
  return last * (contender.times ?? 1);
}

async function time(contender: Contender, repeats: number): Promise<number> {
  const from = performance.now();
  for (let i = 0; i < repeats; i++) {
    const result = contender.run();
    // An `await` of a synchronous result would cost small cases a tenth of their time.
    if (result instanceof Promise) await result;
  }
  return (performance.now() - from) / repeats / (contender.times ?? 1);
}

async function checkEqual(contenders: readonly Contender[]): Promise<void> {
  let first: { name: string; text: string } | undefined;
  for (const { name, run } of contenders) {
    const text = show(await run());
    first ??= { name, text };
    if (text !== first.text)
      throw new Error(`${name} and ${first.name} differ: ${text.slice(0, 100)}, ${first.text.slice(0, 100)}`);
  }
}

function show(result: Result): string {
  if (typeof result === "number") return String(result);
  if (result instanceof Uint8Array) return Array.from(result, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return `[${result.map(show).join(" ")}]`;
}
