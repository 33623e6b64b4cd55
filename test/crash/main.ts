/**
 * Kills browsers at random moments during store operations, and checks the state of the store:
 *
 *     npm run test:crash -- [--browser chromium|firefox] [--storage opfs|indexeddb]
 *                           [--kills N] [--seed S] [--verbose]
 *
 * By default, runs 100 kills in Chromium with OPFS, 20 in Chromium with IndexedDB and 20 in
 * Firefox. The same seed chooses the same operations and moments. Which operation a kill hits
 * depends on the machine.
 */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BROWSERS, isInstalled } from "../bench/browsers.ts";
import type { BrowserName } from "./browser-process.ts";
import { Campaign } from "./campaign.ts";
import type { Storage } from "./page-protocol.ts";
import { summary, sumOf, type Tally, vacuity } from "./verdict.ts";

interface Run {
  readonly browser: BrowserName;
  readonly storage: Storage;
  readonly kills: number;
  /**
   * Whether the run fails if its browser is not installed: by default for Chromium, and for a
   * browser that the arguments name.
   */
  readonly asked: boolean;
}

const RUNS: readonly Run[] = [
  { browser: "chromium", storage: "opfs", kills: 100, asked: true },
  { browser: "chromium", storage: "indexeddb", kills: 20, asked: true },
  { browser: "firefox", storage: "opfs", kills: 20, asked: false },
];

interface Request {
  readonly runs: readonly Run[];
  readonly seed: number;
  readonly verbose: boolean;
}

/**
 * Runs the program.
 *
 * @returns the exit status: 0, 1 if data was lost or the run proved nothing, 2 if the arguments are
 *   wrong
 */
export async function main(args: readonly string[], { root, out }: { root: string; out: string }): Promise<number> {
  const request = parse(args);
  if (typeof request === "string") {
    process.stderr.write(`test:crash: ${request}\n`);
    process.stderr.write(
      "usage: npm run test:crash -- [--browser chromium|firefox] [--storage opfs|indexeddb] [--kills N] [--seed S] [--verbose]\n",
    );
    return 2;
  }
  for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => process.exit(1));
  const { runs, seed, verbose } = request;
  const tallies: Tally[] = [];
  const problems: string[] = [];
  for (const run of runs) {
    const title = `${run.browser} ${run.storage}`;
    const note = (text: string): void => {
      process.stdout.write(`${title}: ${text}\n`);
    };
    if (!(await isInstalled(BROWSERS[run.browser]))) {
      note(`NOT RUN: there is no ${BROWSERS[run.browser].path}`);
      if (run.asked) problems.push(`${title} was not run`);
      continue;
    }
    note(`${run.kills} kills, seed ${seed}`);
    const dir = await mkdtemp(join(tmpdir(), "tvix-store-web-crash-"));
    let kept = true;
    try {
      const tally = await Campaign.run({ ...run, seed, root, out, dir, verbose, note });
      tallies.push(tally);
      const reasons = vacuity(tally, run.kills);
      for (const reason of reasons) problems.push(`${title}: ${reason}`);
      kept = tally.losses > 0;
      const kinds = Object.entries(tally.hitsByKind).map(([kind, hits]) => `${kind} ${hits}`);
      note(`${tally.hits} of ${tally.kills} kills hit an operation under way: ${kinds.join(", ")}`);
      note(summary(tally));
    } catch (error) {
      problems.push(`${title}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      if (kept) note(`the profile and the daemon's store are in ${dir}`);
      else await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  }
  for (const problem of problems) process.stdout.write(`FAILED: ${problem}\n`);
  const total = sumOf(tallies);
  process.stdout.write(`${summary(total)}\n`);
  return total.losses === 0 && problems.length === 0 ? 0 : 1;
}

/**
 * Parses the arguments.
 *
 * @returns the reason as text if the arguments are wrong
 */
export function parse(args: readonly string[]): Request | string {
  let parsed: ReturnType<typeof parseOptions>;
  try {
    parsed = parseOptions(args);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { browser, storage } = parsed;
  if (browser !== undefined && browser !== "chromium" && browser !== "firefox")
    return `unknown browser '${browser}'; use chromium or firefox`;
  if (storage !== undefined && storage !== "opfs" && storage !== "indexeddb")
    return `unknown storage '${storage}'; use opfs or indexeddb`;
  const kills = parsed.kills === undefined ? undefined : Number(parsed.kills);
  if (kills !== undefined && (!Number.isSafeInteger(kills) || kills < 1)) return "--kills must be a whole number of at least 1";
  const seed = parsed.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(parsed.seed);
  if (!Number.isSafeInteger(seed)) return "--seed must be a whole number";
  const chosen = RUNS.filter((run) => (browser ?? run.browser) === run.browser && (storage ?? run.storage) === run.storage);
  // This combination is not run by default.
  if (chosen.length === 0 && browser && storage) chosen.push({ browser, storage, kills: 20, asked: true });
  const runs = chosen.map((run) => ({ ...run, kills: kills ?? run.kills, asked: run.asked || browser !== undefined }));
  return { runs, seed, verbose: parsed.verbose ?? false };
}

function parseOptions(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = { browser: text, storage: text, kills: text, seed: text, verbose: { type: "boolean" } } as const;
  return parseArgs({ args: [...args], options }).values;
}
