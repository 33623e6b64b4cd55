/** What the cases share: the data, a browser with a profile on the disk, Nix beside it, and how contenders take turns. */

import { rmSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Finding, Options, Outcome, Unit } from "../bench.ts";
import { median } from "../measure.ts";
import { Chromium, type Page } from "./cdp.ts";
import { Data } from "./data.ts";
import { NativeStore } from "./native.ts";
import type { PageApi } from "./page-api.ts";
import { type Server, serve } from "./server.ts";

/** Enough for a median of what takes seconds. */
const MOST_ROUNDS = 5;

/** What is measured in turn with others. */
export interface Turn {
  readonly contender: string;
  /** One measurement, in the case's unit. */
  run(): Promise<number>;
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
    // Gigabytes, which a run that somebody stops should not leave behind.
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

  /** A browser with a profile of its own, so that no case begins with what another one left. */
  async freshProfile(): Promise<void> {
    await this.#closeBrowser();
    if (this.#profile) await rm(this.#profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    this.#profile = join(this.#dir, `profile-${++this.#profiles}`);
    await mkdir(this.#profile);
    await this.#openBrowser();
  }

  /** The same profile in a new browser. @param how the old one ends: as a person closes it, or at this instant */
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

  /** @returns milliseconds. `TVIX_BENCH_STORAGE` chooses where stores are kept: `opfs` or `indexeddb`. */
  open(name: string): Promise<number> {
    const { TVIX_BENCH_STORAGE: storage } = process.env;
    return storage ? this.call("open", name, storage) : this.call("open", name);
  }

  /** In a store of its own, which is gone afterwards; only what `work` tells is measured. */
  async inNewStore<T>(work: () => Promise<T>): Promise<T> {
    await this.open("bench");
    try {
      return await work();
    } finally {
      await this.call("close");
      await this.call("clear");
    }
  }

  /** Runs contenders in turn, after a round that doesn't count; each round begins with another one. */
  async inTurn(name: string, unit: Unit, turns: readonly Turn[]): Promise<void> {
    const values = turns.map((): number[] => []);
    const warmUp = this.rounds > 1 ? 1 : 0;
    for (let round = -warmUp; round < this.rounds; round++) {
      for (let i = 0; i < turns.length; i++) {
        const turn = (i + Math.max(round, 0)) % turns.length;
        const value = await (turns[turn] as Turn).run();
        if (round >= 0) values[turn]?.push(value);
      }
    }
    for (const [i, { contender }] of turns.entries()) this.row(name, contender, values[i] ?? [], unit);
  }

  row(name: string, contender: string, values: readonly number[], unit: Unit): void {
    const rounded = Number(median(values).toPrecision(4));
    this.#report({ kind: "row", row: { case: name, workers: 1, contender, median: rounded, unit, runs: values.length } });
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

/** Where nothing can be awaited any more. */
function removeNow(dir: string): void {
  try {
    rmSync(dir, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  } catch {
    // What another process still holds, or Nix has made read-only, is left.
  }
}
