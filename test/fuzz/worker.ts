/**
 * The thread in which a parser takes its inputs. The thread can't report that it hangs or died:
 * main.ts notices that by `progress`.
 */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parentPort, workerData } from "node:worker_threads";
import { type Failure, takeInputs } from "./take-inputs.ts";
import { allTargets } from "./targets/all.ts";

export interface Work {
  readonly root: string;
  readonly target: string;
  readonly seed: number;
  readonly from: number;
  readonly to: number;
  /** Index of the current input. */
  readonly progress: Int32Array;
  /** Whether errors have stack traces, which cost more than most parsers. */
  readonly traced: boolean;
}

export interface Report {
  readonly accepted: number;
  readonly refused: number;
  readonly failure: Failure | undefined;
}

/** Inputs between two checks of the heap. */
const LOOK_EVERY = 20_000;
/**
 * Memory limits, in bytes: for the buffers that one input may hold at once, and for the growth
 * between the first check and a later one, after garbage collection.
 */
const MOST_AT_ONCE = 1024 * 1024 * 1024;
const MOST_GROWTH = 48 * 1024 * 1024;

const { root, target: name, seed, from, to, progress, traced } = workerData as Work;
Error.stackTraceLimit = traced ? 30 : 0;
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

let first: number | undefined;
/** Checks the memory every few inputs. Returns the problem, if there is one. */
function growth(index: number): Promise<string | undefined> | undefined {
  Atomics.store(progress, 0, index);
  if (index % 64 === 0 && process.memoryUsage().arrayBuffers > MOST_AT_ONCE) {
    return over(() => process.memoryUsage().arrayBuffers, MOST_AT_ONCE, "held at once, by this input or one of the 64 before it");
  }
  if (index % LOOK_EVERY !== LOOK_EVERY / 2) return undefined;
  collectGarbage();
  // The first inputs compile code and fill pools.
  first ??= used();
  return over(used, first + MOST_GROWTH, `in use after the inputs up to this one; after the first inputs it was ${first}`);
}

function used(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

/**
 * Measures several times: buffers are released some time after the object that held them was
 * collected.
 */
async function over(measure: () => number, limit: number, what: string): Promise<string | undefined> {
  for (let i = 0; i < 10; i++) {
    collectGarbage();
    if (measure() <= limit) return undefined;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return `${measure()} bytes are ${what}`;
}

const target = (await allTargets(root)).find((target) => target.name === name);
if (!target) throw new Error(`there is no parser '${name}'`);
const taken = { accepted: 0, refused: 0 };
const failure = await takeInputs(target, { seed, from, to }, taken, growth);
parentPort?.postMessage({ ...taken, failure } satisfies Report);
