import type { ReactiveController, ReactiveControllerHost } from "lit";
import type { Store } from "../browser/store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { describeFailure } from "./failure.ts";

/** Number of paths after which the first, unfinished list is shown. */
const FIRST = 500;
/**
 * Milliseconds from a change to the next reading. An import or a pull makes many changes, and each
 * requires reading the whole list again.
 */
const CALM = 150;

/** The store paths of a store, kept current while the host is shown. */
export class StoreContents implements ReactiveController {
  /** The path infos that are known so far. */
  paths: readonly PathInfo[] = [];
  /** Whether `paths` is the whole list. */
  complete = false;
  fault: string | undefined;
  readonly #host: ReactiveControllerHost;
  #store: Store | undefined;
  #reading: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  set store(store: Store | undefined) {
    if (store === this.#store) return;
    this.hostDisconnected();
    this.#store = store;
    this.paths = [];
    this.complete = false;
    this.hostConnected();
  }

  hostConnected(): void {
    this.#store?.addEventListener("change", this.#changed);
    if (this.#store) void this.#read(this.#store);
  }

  hostDisconnected(): void {
    this.#store?.removeEventListener("change", this.#changed);
    this.#reading?.abort();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #changed = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#store) void this.#read(this.#store);
    }, CALM);
  };

  async #read(store: Store): Promise<void> {
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    const found: PathInfo[] = [];
    try {
      for await (const info of store.pathInfos({ signal: reading.signal })) {
        if (reading.signal.aborted) return;
        found.push(info);
        if (found.length === FIRST && this.paths.length === 0) this.#show(found.slice());
      }
      if (reading.signal.aborted) return;
      this.complete = true;
      this.fault = undefined;
      this.#show(found);
    } catch (error) {
      if (reading.signal.aborted) return;
      this.fault = describeFailure(error);
      this.#host.requestUpdate();
    }
  }

  #show(paths: readonly PathInfo[]): void {
    this.paths = paths;
    this.#host.requestUpdate();
  }
}
