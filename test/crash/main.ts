/**
 * Kills browsers at random moments of what a store does, and looks at what is left of the store:
 *
 *     npm run test:crash -- [--browser chromium|firefox] [--storage opfs|indexeddb] [--kills N] [--seed S] [--verbose]
 *
 * Without arguments 100 kills in Chromium over OPFS, 20 over IndexedDB, 20 in Firefox. With the same seed the same operations are
 * chosen and the same moments; what the kill meets is up to the machine.
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
  /** A run that lacks its browser fails, if somebody asked for it by name. */
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

/** @returns the exit status: 1 if something was lost or nothing was proven, 2 if the arguments are wrong */
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
      note(`NOT RUN, there is no ${BROWSERS[run.browser].path}`);
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
      if (kept) note(`what is left is in ${dir}`);
      else await rm(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    }
  }
  for (const problem of problems) process.stdout.write(`FAILED: ${problem}\n`);
  const total = sumOf(tallies);
  process.stdout.write(`${summary(total)}\n`);
  return total.losses === 0 && problems.length === 0 ? 0 : 1;
}

/** @returns what is wrong, if something is */
export function parse(args: readonly string[]): Request | string {
  let parsed: ReturnType<typeof parseOptions>;
  try {
    parsed = parseOptions(args);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { browser, storage } = parsed;
  if (browser !== undefined && browser !== "chromium" && browser !== "firefox") return `there is no browser '${browser}'`;
  if (storage !== undefined && storage !== "opfs" && storage !== "indexeddb") return `there is no storage '${storage}'`;
  const kills = parsed.kills === undefined ? undefined : Number(parsed.kills);
  if (kills !== undefined && (!Number.isSafeInteger(kills) || kills < 1)) return "--kills is a number from 1 up";
  const seed = parsed.seed === undefined ? Math.floor(Math.random() * 1_000_000) : Number(parsed.seed);
  if (!Number.isSafeInteger(seed)) return "--seed is a whole number";
  const chosen = RUNS.filter((run) => (browser ?? run.browser) === run.browser && (storage ?? run.storage) === run.storage);
  // A pair that is not run by default.
  if (chosen.length === 0 && browser && storage) chosen.push({ browser, storage, kills: 20, asked: true });
  const runs = chosen.map((run) => ({ ...run, kills: kills ?? run.kills, asked: run.asked || browser !== undefined }));
  return { runs, seed, verbose: parsed.verbose ?? false };
}

function parseOptions(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = { browser: text, storage: text, kills: text, seed: text, verbose: { type: "boolean" } } as const;
  return parseArgs({ args: [...args], options }).values;
}
