/** Runs a benchmark in each runtime, one after the other, and reports the results. */

import { mkdir, readFile, writeFile } from "node:fs/promises";
import { cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { rolldown } from "rolldown";
import type { Driven, Machine, Message, Options, Outcome, Report, Row, Runtime, ScriptedBench } from "./bench.ts";
import { type Bench, RUNTIMES } from "./bench.ts";
import { BROWSERS, isInstalled } from "./browsers.ts";
import { withFigures } from "./figures.ts";
import { servePage } from "./page-server.ts";
import { cells, figure, markdown, outcomes } from "./table.ts";

export interface Place {
  /** Root of the repository. */
  readonly root: string;
  /** Directory for the scripts of Node's threads. */
  readonly out: string;
  readonly names: readonly string[];
  load(name: string): Promise<Bench>;
}

const ROUNDS = 15;
/**
 * Milliseconds after which a silent page counts as hung. A case reports at its end, and the slowest
 * case takes half a minute.
 */
const SILENCE = 3 * 60_000;

/**
 * Runs the program.
 *
 * @returns the exit status: 0, 1 if something failed or a requirement isn't met, 2 if the arguments
 *   are wrong
 */
export async function main(args: readonly string[], place: Place): Promise<number> {
  const request = parse(args, place.names);
  if (typeof request === "string") {
    process.stderr.write(
      `bench: ${request}\nusage: npm run bench -- NAME [--runtime ${RUNTIMES}] [--filter TEXT] [--skip TEXT] [--rounds N]\n`,
    );
    process.stderr.write(`NAME is one of: ${place.names.join(", ")}\n`);
    return 2;
  }
  const { name, options, runtimes, whole } = request;
  const bench = await place.load(name);
  const rows: Row[] = [];
  const versions: { chromium?: string; firefox?: string } = {};
  const checks: Outcome[] = [];
  const files = ("drive" in bench ? undefined : await bench.files?.(options)) ?? new Map<string, Uint8Array>();
  const supported = "drive" in bench ? [bench.runtime] : RUNTIMES;
  for (const runtime of supported.filter((runtime) => !runtimes || runtimes.includes(runtime))) {
    const onMessage = (message: Message): void => {
      if (message.kind === "note") process.stderr.write(`${runtime}: ${message.text}\n`);
      if (message.kind !== "row") return;
      const { case: name, ...measured } = message.row;
      const row: Row = { case: name, runtime, ...measured };
      rows.push(row);
      show(row);
    };
    try {
      if ("drive" in bench) {
        const driven: Driven = await bench.drive(options, place.root, onMessage);
        if (driven.chromium !== undefined) versions.chromium = driven.chromium;
        checks.push(...driven.checks);
      } else if (runtime === "node") {
        await runInNode(bench, files, options, place, onMessage);
      } else if (await isInstalled(BROWSERS[runtime])) {
        versions[runtime] = await runInBrowser(runtime, bench, files, options, place, onMessage);
      } else if (runtime === "firefox" && !runtimes) {
        process.stderr.write(`firefox: skipped, there is no ${BROWSERS.firefox.path} (set FIREFOX_PATH to use another one)\n`);
      } else {
        throw new Error(`there is no ${BROWSERS[runtime].path}`);
      }
    } catch (error) {
      process.stderr.write(`bench: ${runtime} failed: ${error instanceof Error ? error.message : String(error)}\n`);
      return 1;
    }
  }
  if (rows.length === 0) {
    process.stderr.write("bench: no case matches\n");
    return 1;
  }

  const machine: Machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    ...versions,
  };
  const report: Report = { machine, date: new Date().toISOString(), rows: sorted(rows) };
  process.stdout.write(`\n${markdown(cells(report.rows))}\n\n`);
  const results = [
    ...bench.facts(),
    ...checks,
    ...outcomes(bench.requirements, report.rows, "drive" in bench ? bench.runtime : "chromium"),
  ];
  for (const { text, met } of results) process.stdout.write(`${met ? "met    " : "NOT met"}  ${text}\n`);
  if (whole) await write(name, report, place);
  else process.stdout.write("Nothing was written, because this was only a part of the benchmark.\n");
  return results.every(({ met }) => met) ? 0 : 1;
}

interface Request {
  readonly name: string;
  readonly options: Options;
  /** Requested runtimes; `undefined` for all. */
  readonly runtimes: readonly Runtime[] | undefined;
  /** Whether all cases run in every installed runtime. Only such results are published. */
  readonly whole: boolean;
}

/**
 * Parses the arguments.
 *
 * @returns the reason as text if the arguments are wrong
 */
export function parse(args: readonly string[], names: readonly string[]): Request | string {
  let parsed: ReturnType<typeof parseOptions>;
  try {
    parsed = parseOptions(args);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const { values, positionals } = parsed;
  const [name, more] = positionals;
  if (name === undefined) return "NAME is missing";
  if (more !== undefined) return `unexpected argument '${more}'`;
  if (!names.includes(name)) return `unknown benchmark '${name}'`;
  const asked = values.runtime?.split(",");
  const runtimes = asked && RUNTIMES.filter((runtime) => asked.includes(runtime));
  const unknown = asked?.find((runtime) => !RUNTIMES.some((known) => known === runtime));
  if (unknown !== undefined) return `unknown runtime '${unknown}'`;
  const rounds = values.rounds === undefined ? ROUNDS : Number(values.rounds);
  if (!Number.isSafeInteger(rounds) || rounds < 1) return "--rounds must be a whole number of at least 1";
  const whole = !asked && values.filter === undefined && values.skip === undefined && values.rounds === undefined;
  return { name, runtimes, whole, options: { filter: values.filter ?? "", skip: values.skip, rounds } };
}

function parseOptions(args: readonly string[]) {
  const text = { type: "string" } as const;
  const options = { runtime: text, filter: text, skip: text, rounds: text };
  return parseArgs({ args: [...args], allowPositionals: true, options });
}

async function runInBrowser(
  runtime: "chromium" | "firefox",
  bench: ScriptedBench,
  files: ReadonlyMap<string, Uint8Array>,
  options: Options,
  { root }: Place,
  onMessage: (message: Message) => void,
): Promise<string> {
  const sources = { "worker.js": bench.worker, ...bench.scripts };
  const scripts = Object.fromEntries(Object.entries(sources).map(([name, source]) => [name, join(root, source)]));
  const silence = new Silence();
  const server = await servePage({
    scripts,
    files,
    options,
    onMessage(message) {
      silence.broken();
      onMessage(message);
    },
  });
  try {
    const page = await BROWSERS[runtime].open(server.url);
    try {
      await Promise.race([server.done, page.lost, silence.over]);
      return page.version;
    } finally {
      await page.close();
    }
  } finally {
    silence.end();
    server.close();
  }
}

/**
 * Detects that a page has become silent without an error, so that a hung browser doesn't block the
 * program.
 */
class Silence {
  readonly over: Promise<never>;
  #reject: (error: Error) => void = () => {};
  #timer: NodeJS.Timeout | undefined;

  constructor() {
    this.over = new Promise((_, reject) => {
      this.#reject = reject;
    });
    this.over.catch(() => {});
    this.broken();
  }

  broken(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#reject(new Error(`the page was silent for ${SILENCE / 60_000} minutes`)), SILENCE);
  }

  end(): void {
    clearTimeout(this.#timer);
  }
}

async function runInNode(
  bench: ScriptedBench,
  files: ReadonlyMap<string, Uint8Array>,
  options: Options,
  { root, out }: Place,
  onMessage: (message: Message) => void,
): Promise<void> {
  const file = join(out, "node-thread.mjs");
  const bundle = await rolldown({ input: join(root, bench.node), platform: "node", external: /^[^./]/ });
  await bundle.write({ file, format: "esm", codeSplitting: false });
  await bundle.close();
  for (const [name, bytes] of files) await writeFile(join(out, name), bytes);
  const worker = new Worker(file, { workerData: options });
  try {
    await new Promise<void>((resolve, reject) => {
      worker.on("message", (message: Message) => {
        if (message.kind === "done") resolve();
        else if (message.kind === "failed") reject(new Error(message.reason));
        else onMessage(message);
      });
      worker.on("error", reject);
      worker.on("exit", () => reject(new Error("the thread ended")));
    });
  } finally {
    await worker.terminate();
  }
}

function show(row: Row): void {
  const { runtime, case: name, contender, workers } = row;
  process.stderr.write(`${runtime}  ${name}  ${contender}${workers > 1 ? ` (${workers} workers)` : ""}  ${figure(row)}\n`);
}

/** Groups the rows by case, in the order in which the cases first ran. */
function sorted(rows: readonly Row[]): Row[] {
  return [...new Set(rows.map((row) => row.case))].flatMap((name) => rows.filter((row) => row.case === name));
}

async function write(name: string, report: Report, { root }: Place): Promise<void> {
  await mkdir(join(root, "test/bench/results"), { recursive: true });
  await writeFile(join(root, `test/bench/results/${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  const document = join(root, "docs/performance.md");
  await writeFile(document, withFigures(await readFile(document, "utf8"), name, report));
  process.stdout.write(`Written: test/bench/results/${name}.json, and the table in docs/performance.md\n`);
}
