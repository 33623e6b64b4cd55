/**
 * Gives each parser of outside data a large number of almost correct inputs:
 *
 *     npm run fuzz -- [--inputs N] [--filter TEXT] [--seed S] [--from INDEX]
 *
 * By default a million inputs each, except for parsers that state why they take fewer. A parser
 * must accept an input or refuse it with a `StoreError`, within a time limit and with bounded
 * memory. Accepted data must be the same after it is written and read again. The first input of a
 * parser that breaks these rules is printed. Its seed and index reproduce it.
 */

import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { makeInput } from "./mutator.ts";
import type { Failure } from "./take-inputs.ts";
import type { Target } from "./target.ts";
import { allTargets } from "./targets/all.ts";
import type { Report, Work } from "./worker.ts";

const INPUTS = 1_000_000;
const DEFAULT_SEED = 1;
/**
 * Time limit for one input, in milliseconds. A busy machine can stop a thread for a second or two.
 */
const TIME_LIMIT = 10_000;
/** Heap limit of the thread, in MiB. */
const HEAP_LIMIT = 512;

interface Place {
  /** Root of the repository. */
  readonly root: string;
  /** Path of the thread's script. */
  readonly worker: string;
}

interface Request {
  readonly inputs: number | undefined;
  readonly filter: string;
  readonly seed: number;
  readonly from: number;
}

/**
 * Runs the program.
 *
 * @returns the exit status: 0, 1 if a parser failed, 2 if the arguments are wrong
 */
export async function main(args: readonly string[], place: Place): Promise<number> {
  const request = parse(args);
  const targets = await allTargets(place.root);
  const chosen = typeof request === "string" ? [] : targets.filter(({ name }) => name.includes(request.filter));
  if (typeof request === "string" || chosen.length === 0) {
    const problem = typeof request === "string" ? request : "no parser's name contains the filter";
    process.stderr.write(`fuzz: ${problem}\nusage: npm run fuzz -- [--inputs N] [--filter TEXT] [--seed S] [--from INDEX]\n`);
    process.stderr.write(`parsers: ${targets.map(({ name }) => name).join(", ")}\n`);
    return 2;
  }
  process.stdout.write(`seed ${request.seed}\n${row(["parser", "inputs", "accepted", "refused", "seconds"])}\n`);
  let failed = 0;
  for (const target of chosen) {
    const start = performance.now();
    const { accepted, refused, failure } = await take(target, request, place);
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stdout.write(`${row([target.name, String(accepted + refused), String(accepted), String(refused), seconds])}\n`);
    if (request.inputs === undefined && target.inputs) process.stdout.write(`    fewer than a million: ${target.inputs.why}\n`);
    if (!failure) continue;
    failed++;
    const { input } = makeInput(target, request.seed, failure.index);
    process.stdout.write(
      `FAILED: ${target.name}, seed ${request.seed}, index ${failure.index}: ${failure.reason}\n` +
        `input (${input.length} bytes): ${Buffer.from(input).toString("hex")}\n` +
        `again: npm run fuzz -- --filter '${target.name}' --seed ${request.seed} --from ${failure.index} --inputs 1\n`,
    );
  }
  const sum = `${chosen.length - failed} of ${chosen.length} parsers took all their inputs`;
  process.stdout.write(`${sum}\n`);
  return failed === 0 ? 0 : 1;
}

function parse(args: readonly string[]): Request | string {
  try {
    const text = { type: "string" } as const;
    const options = { inputs: text, filter: text, seed: text, from: text } as const;
    const { inputs, filter = "", seed, from } = parseArgs({ args: [...args], options }).values;
    return {
      inputs: wholeNumber("inputs", inputs),
      filter,
      seed: wholeNumber("seed", seed) ?? DEFAULT_SEED,
      from: wholeNumber("from", from) ?? 0,
    };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

function wholeNumber(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw new Error(`--${flag} must be a number`);
  return Number(text);
}

function row([name = "", ...figures]: readonly string[]): string {
  return `${name.padEnd(18)}${figures.map((figure) => figure.padStart(10)).join("")}`;
}

/** Runs the thread and watches its progress. Runs a failed input again, to get a stack trace. */
async function take(target: Target, request: Request, place: Place): Promise<Report> {
  const count = request.inputs ?? target.inputs?.count ?? INPUTS;
  const { from } = request;
  const report = await inThread(target, request, place, { from, to: from + count, traced: count === 1 });
  if (!report.failure || count === 1) return report;
  const { index } = report.failure;
  const again = await inThread(target, request, place, { from: index, to: index + 1, traced: true });
  return { ...report, failure: again.failure ?? report.failure };
}

function inThread(
  target: Target,
  { seed }: Request,
  { root, worker: script }: Place,
  span: Pick<Work, "from" | "to" | "traced">,
): Promise<Report> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  progress[0] = span.from;
  const workerData: Work = { root, target: target.name, seed, progress, ...span };
  const worker = new Worker(script, { workerData, resourceLimits: { maxOldGenerationSizeMb: HEAP_LIMIT } });
  return new Promise((resolve) => {
    let last = -1;
    let since = performance.now();
    const watch = setInterval(() => {
      const index = Atomics.load(progress, 0);
      if (index !== last) since = performance.now();
      last = index;
      if (performance.now() - since > TIME_LIMIT) end(died(`it takes longer than ${TIME_LIMIT / 1000} s`));
    }, 500);
    const died = (reason: string): Report => {
      const index = Atomics.load(progress, 0);
      const failure: Failure = { index, reason };
      return { accepted: 0, refused: index - span.from, failure };
    };
    let ended = false;
    const end = (report: Report): void => {
      if (ended) return;
      ended = true;
      clearInterval(watch);
      void worker.terminate().then(() => resolve(report));
    };
    worker.on("message", (report: Report) => end(report));
    worker.on("error", (error: unknown) => end(died(`the thread died: ${error instanceof Error ? error.message : String(error)}`)));
    worker.on("exit", (code) => end(died(`the thread ended with ${code}`)));
  });
}
