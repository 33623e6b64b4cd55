/**
 * The parts that the cases share: the data, a browser with a profile on disk, Nix, and the order of
 * measurements.
 */

import { rmSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding, Options, Outcome, Unit } from "../bench.ts";
import { spread } from "../measure.ts";
import { Chromium, type Page } from "./cdp.ts";
import { Data } from "./data.ts";
import { flushDisks, NativeStore } from "./native.ts";
import type { PageApi } from "./page-api.ts";
import { type Server, serve } from "./server.ts";

/** Maximum number of rounds. It is enough for the median of work that takes seconds. */
const MOST_ROUNDS = 5;

/** Work that is measured in turn with others. */
export interface Turn {
  /** Names of the contenders that one run measures. */
  readonly contenders: readonly string[];
  /** Runs one measurement. Resolves to each contender's value, in the case's unit. */
  run(): Promise<readonly number[]>;
}

/** Creates the turn of a single contender. */
export function turn(contender: string, run: () => Promise<number>): Turn {
  return { contenders: [contender], run: async () => [await run()] };
}

export class Session {
  readonly data: Data;
  readonly native: NativeStore;
  readonly server: Server;
  readonly rounds: number;
  readonly checks: Outcome[] = [];
  chromium = "";
  readonly #report: (finding: Finding) => void;
  readonly #dir: string;
  #profiles = 0;
  #profile = "";
  #browser: Chromium | undefined;
  #page: Page | undefined;

  private constructor(dir: string, server: Server, native: NativeStore, options: Options, report: (finding: Finding) => void) {
    this.#dir = dir;
    this.#report = report;
    this.server = server;
    this.native = native;
    this.rounds = Math.min(options.rounds, MOST_ROUNDS);
    this.data = new Data((text) => this.note(text));
  }

  static async start(root: string, options: Options, report: (finding: Finding) => void): Promise<Session> {
    const dir = await mkdtemp(join(tmpdir(), "tvix-store-web-bench-"));
    const session = new Session(dir, await serve(root), await NativeStore.make(join(dir, "nix")), options, report);
    // Delete the gigabytes of data even if the run is interrupted.
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
    process.once("exit", () => {
      session.#browser?.kill();
      removeNow(dir);
    });
    return session;
  }

  async end(): Promise<void> {
    await this.#closeBrowser();
    this.server.close();
    await this.native.remove();
    await rm(this.#dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  note(text: string): void {
    this.#report({ kind: "note", text });
  }

  /** Starts a browser with a new profile, so that no case depends on an earlier one. */
  async freshProfile(): Promise<void> {
    await this.#closeBrowser();
    if (this.#profile) await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    this.#profile = join(this.#dir, `profile-${++this.#profiles}`);
    await mkdir(this.#profile);
    await this.#openBrowser();
  }

  /**
   * Starts a new browser with the same profile.
   *
   * @param how whether the old browser is closed as by a user, or killed at once
   */
  async restart(how: "close" | "kill"): Promise<void> {
    if (how === "kill") {
      await this.#browser?.kill();
      this.#browser = undefined;
    }
    await this.#closeBrowser();
    await this.#openBrowser();
  }

  async freshPage(): Promise<void> {
    await this.#page?.close();
    this.#page = await this.#browser?.open(this.server.url);
  }

  async pick(id: "file" | "folder", path: string): Promise<void> {
    await this.page.pick(`#${id}`, [path]);
  }

  get page(): Page {
    if (!this.#page) throw new Error("no page is open");
    return this.#page;
  }

  async call<K extends keyof PageApi>(method: K, ...args: Parameters<PageApi[K]>): Promise<Awaited<ReturnType<PageApi[K]>>> {
    const found = await this.page.evaluate(`bench.${method}(...${JSON.stringify(args)})`);
    return found as Awaited<ReturnType<PageApi[K]>>;
  }

  /**
   * Opens a store. `TVIX_BENCH_STORAGE` chooses its storage: `opfs` or `indexeddb`.
   *
   * @returns milliseconds
   */
  open(name: string): Promise<number> {
    const { TVIX_BENCH_STORAGE: storage } = process.env;
    return storage ? this.call("open", name, storage) : this.call("open", name);
  }

  /**
   * Runs `work` in a new store, which is deleted afterwards. Opening and deleting are not measured.
   */
  async inNewStore<T>(work: () => Promise<T>): Promise<T> {
    await this.open("bench");
    try {
      return await work();
    } finally {
      await this.call("close");
      await this.call("clear");
    }
  }

  /**
   * Measures contenders in turn, after a warm-up round that doesn't count. Each round begins with
   * another contender. Flushes the disks before each turn, so that no contender pays for data that
   * another one left in the page cache.
   */
  async inTurn(name: string, unit: Unit, turns: readonly Turn[]): Promise<void> {
    const values = turns.map((): (readonly number[])[] => []);
    const warmUp = this.rounds > 1 ? 1 : 0;
    for (let round = -warmUp; round < this.rounds; round++) {
      for (let i = 0; i < turns.length; i++) {
        const turn = (i + Math.max(round, 0)) % turns.length;
        await flushDisks();
        const value = await (turns[turn] as Turn).run();
        if (round >= 0) values[turn]?.push(value);
      }
    }
    for (const [i, { contenders }] of turns.entries()) {
      for (const [j, contender] of contenders.entries()) {
        this.row(name, contender, values[i]?.map((measured) => measured[j] as number) ?? [], unit);
      }
    }
  }

  row(name: string, contender: string, values: readonly number[], unit: Unit): void {
    this.#report({ kind: "row", row: { case: name, workers: 1, contender, ...spread(values), unit } });
  }

  async #openBrowser(): Promise<void> {
    this.#browser = await Chromium.launch(this.#profile);
    this.chromium = this.#browser.version;
    this.#page = await this.#browser.open(this.server.url);
  }

  async #closeBrowser(): Promise<void> {
    await this.#browser?.close();
    this.#browser = undefined;
    this.#page = undefined;
  }
}

/** Deletes a directory synchronously, for exit handlers. */
function removeNow(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  } catch {
    // Another process may still use a file, or Nix may have made a directory read-only. Leave
    // these.
  }
}
