/**
 * Drives Chromium over the pipe of its DevTools protocol. The drivers that tests use turn on the
 * instrumentation of the network. That instrumentation copies the data that a page fetches, which
 * would distort the measurements here.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import type { Readable, Writable } from "node:stream";
import { chromiumPath } from "../../setup/tools.ts";

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-dev-shm-usage",
  "--remote-debugging-pipe",
  "--no-first-run",
  "--no-default-browser-check",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-extensions",
  "--disable-sync",
  "--disable-renderer-backgrounding",
  "--disable-background-timer-throttling",
  "--disable-backgrounding-occluded-windows",
  "--disable-features=Translate,MediaRouter,OptimizationHints",
  "--password-store=basic",
  "--use-mock-keychain",
];
/** Milliseconds after which a browser that was asked to end is killed. */
const PATIENCE = 10_000;

type Json = Readonly<Record<string, unknown>>;
type OnEvent = (method: string, params: Json, session: string | undefined) => void;

interface Pending {
  resolve(result: Json): void;
  reject(error: Error): void;
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #pending = new Map<number, Pending>();
  readonly #listeners = new Set<OnEvent>();
  #input: Writable;
  #rest = "";
  #last = 0;
  #ended = false;
  version = "";

  private constructor(profile: string) {
    // Use a separate process group, so that all processes of the browser can be killed at once.
    this.#process = spawn(chromiumPath(), [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
      detached: true,
    });
    this.#input = this.#process.stdio[3] as Writable;
    this.#input.on("error", () => {});
    const output = this.#process.stdio[4] as Readable;
    output.setEncoding("utf8");
    output.on("data", (text: string) => this.#receive(text));
    this.#exited = new Promise((resolve) => {
      const end = (): void => {
        this.#ended = true;
        for (const { reject } of this.#pending.values()) reject(new Error("Chromium ended"));
        this.#pending.clear();
        resolve();
      };
      this.#process.once("error", end);
      this.#process.once("exit", end);
    });
  }

  static async launch(profile: string): Promise<Chromium> {
    const browser = new Chromium(profile);
    const { product } = await browser.send("Browser.getVersion");
    browser.version = String(product).replace(/^.*\//, "");
    return browser;
  }

  send(method: string, params: Json = {}, session?: string): Promise<Json> {
    if (this.#ended) return Promise.reject(new Error("Chromium ended"));
    const id = ++this.#last;
    const answer = new Promise<Json>((resolve, reject) => {
      this.#pending.set(id, { resolve, reject });
    });
    this.#input.write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
    return answer;
  }

  /**
   * Adds a listener for events.
   *
   * @returns function that removes it
   */
  listen(onEvent: OnEvent): () => void {
    this.#listeners.add(onEvent);
    return () => this.#listeners.delete(onEvent);
  }

  /** Opens a page, and waits until its script has set `globalThis.bench`. */
  async open(url: string): Promise<Page> {
    const { targetId } = await this.send("Target.createTarget", { url });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, String(targetId), String(sessionId));
    await page.ready();
    return page;
  }

  /**
   * Measures the private memory of the largest renderer process, which includes its workers, in
   * bytes.
   */
  async memory(): Promise<number> {
    let largest = 0;
    for (const pid of await readdir("/proc")) {
      if (!/^\d+$/.test(pid)) continue;
      try {
        // The fields after the name, which is in parentheses: state, parent, group.
        const group = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /, "").split(" ")[2];
        if (Number(group) !== this.#process.pid) continue;
        if (!(await readFile(`/proc/${pid}/cmdline`, "utf8")).includes("--type=renderer")) continue;
        const status = await readFile(`/proc/${pid}/status`, "utf8");
        largest = Math.max(largest, Number(/^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024);
      } catch {
        // The process has ended meanwhile.
      }
    }
    return largest;
  }

  async close(): Promise<void> {
    const timer = setTimeout(() => this.#signal("SIGKILL"), PATIENCE);
    await this.send("Browser.close").catch(() => {});
    await this.#exited;
    clearTimeout(timer);
  }

  /** Kills all processes of the browser at once. */
  kill(): Promise<void> {
    this.#signal("SIGKILL");
    return this.#exited;
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process;
    if (pid === undefined || this.#ended) return;
    try {
      process.kill(-pid, signal);
    } catch {
      // The process has ended meanwhile.
    }
  }

  #receive(text: string): void {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop() ?? "";
    for (const message of messages) {
      const { id, result, error, method, params, sessionId } = JSON.parse(message);
      if (method !== undefined) for (const listener of this.#listeners) listener(method, params, sessionId);
      const pending = this.#pending.get(id);
      this.#pending.delete(id);
      if (error) pending?.reject(new Error(String(error.message)));
      else pending?.resolve(result);
    }
  }
}

export class Page {
  readonly #browser: Chromium;
  readonly #target: string;
  readonly #session: string;
  readonly #crashed: Promise<never>;
  readonly #unlisten: () => void;

  constructor(browser: Chromium, target: string, session: string) {
    this.#browser = browser;
    this.#target = target;
    this.#session = session;
    let stop = (): void => {};
    this.#crashed = new Promise<never>((_, reject) => {
      stop = browser.listen((method, _params, from) => {
        if (method === "Inspector.targetCrashed" && from === session) reject(new Error("the page crashed"));
      });
    });
    this.#crashed.catch(() => {});
    this.#unlisten = stop;
  }

  ready(): Promise<void> {
    return this.#until("typeof globalThis.bench === 'object'");
  }

  /** Evaluates an expression, awaits a promise, and returns the result as JSON. */
  async evaluate(expression: string): Promise<unknown> {
    const answer = await this.#send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    const failed = answer.exceptionDetails as { text?: string; exception?: { description?: string } } | undefined;
    if (failed) throw new Error(failed.exception?.description ?? failed.text ?? "the page failed");
    return (answer.result as { value?: unknown }).value;
  }

  /** Selects files, or a single directory, in an `<input type="file">`, as a user does. */
  async pick(selector: string, files: readonly string[]): Promise<void> {
    const input = `document.querySelector(${JSON.stringify(selector)})`;
    await this.evaluate(`${input}.value = ""`);
    const { result } = await this.#send("Runtime.evaluate", { expression: input });
    await this.#send("DOM.setFileInputFiles", { files, objectId: (result as { objectId?: string }).objectId });
    // A directory is listed asynchronously.
    await this.#until(`${input}.files.length > 0`);
  }

  /**
   * Watches the memory while an import runs: the heap of the worker whose script's URL contains
   * `script`, and the private memory of the page's process with all its workers.
   *
   * @returns function that stops this and resolves to the peaks
   */
  async watchMemory(script: string): Promise<() => Promise<MemoryPeaks>> {
    let worker: string | undefined;
    const unlisten = this.#browser.listen((method, params, session) => {
      if (method !== "Target.attachedToTarget" || session !== this.#session) return;
      const { url } = params.targetInfo as { url: string };
      if (url.includes(script)) worker = String(params.sessionId);
    });
    await this.#send("Target.setAutoAttach", { autoAttach: true, waitForDebuggerOnStart: false, flatten: true });
    let running = true;
    const peaks = { heap: 0, buffers: 0, process: 0, samples: 0 };
    const sampling = (async () => {
      for (; running; await new Promise((resolve) => setTimeout(resolve, 25))) {
        if (worker === undefined) continue;
        const usage = await this.#browser.send("Runtime.getHeapUsage", {}, worker).catch(() => undefined);
        if (!usage) continue;
        const buffers = Number(usage.backingStorageSize ?? 0);
        peaks.heap = Math.max(peaks.heap, Number(usage.usedSize) + buffers);
        peaks.buffers = Math.max(peaks.buffers, buffers);
        peaks.process = Math.max(peaks.process, await this.#browser.memory());
        peaks.samples++;
      }
    })();
    return async () => {
      running = false;
      await sampling;
      unlisten();
      await this.#send("Target.setAutoAttach", { autoAttach: false, waitForDebuggerOnStart: false, flatten: true });
      return peaks;
    };
  }

  async close(): Promise<void> {
    this.#unlisten();
    await this.#browser.send("Target.closeTarget", { targetId: this.#target });
  }

  async #until(condition: string): Promise<void> {
    for (let tries = 0; tries < 1500; tries++) {
      // The evaluation fails while the page loads.
      if ((await this.evaluate(condition).catch(() => false)) === true) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`timed out while waiting for the page: ${condition}`);
  }

  #send(method: string, params: Json): Promise<Json> {
    return Promise.race([this.#browser.send(method, params, this.#session), this.#crashed]);
  }
}

export interface MemoryPeaks {
  /** Bytes of the worker's JavaScript heap and its buffers, including garbage. */
  readonly heap: number;
  /** Bytes of the worker's buffers alone. */
  readonly buffers: number;
  /** Bytes of private memory of the page's process, which includes all its workers. */
  readonly process: number;
  readonly samples: number;
}
