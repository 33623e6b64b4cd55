import type { ReactiveController, ReactiveControllerHost } from "lit";
import type { Store } from "../browser/store.ts";
import type { StorageUsage } from "../thread/maintenance-api.ts";
import { describeFailure } from "./failure.ts";

/**
 * Milliseconds from a change to the next count. An import makes many changes, and a count reads the
 * whole index.
 */
const CALM = 400;

/** The storage that a store uses, kept current while the host is shown. */
export class CurrentUsage implements ReactiveController {
  usage: StorageUsage | undefined;
  fault: string | undefined;
  readonly #host: ReactiveControllerHost;
  #store: Store | undefined;
  #paused = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading = false;
  #stale = false;

  constructor(host: ReactiveControllerHost) {
    this.#host = host;
    host.addController(this);
  }

  /**
   * Switches to a store.
   *
   * @param paused whether the host is out of sight, so that counting is useless
   */
  follow(store: Store | undefined, paused: boolean): void {
    if (store !== this.#store) this.usage = undefined;
    this.hostDisconnected();
    this.#store = store;
    this.#paused = paused;
    this.hostConnected();
  }

  hostConnected(): void {
    if (!this.#store || this.#paused) return;
    this.#store.addEventListener("change", this.#changed);
    void this.refresh();
  }

  hostDisconnected(): void {
    this.#store?.removeEventListener("change", this.#changed);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  readonly #changed = (): void => {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.refresh();
    }, CALM);
  };

  /**
   * Counts the storage. Only one count runs at a time; a change during it leads to another count.
   */
  async refresh(): Promise<void> {
    this.#stale = true;
    if (this.#reading) return;
    this.#reading = true;
    while (this.#stale) {
      this.#stale = false;
      await this.#read();
    }
    this.#reading = false;
  }

  async #read(): Promise<void> {
    const store = this.#store;
    try {
      const usage = await store?.usage();
      if (store !== this.#store) return;
      this.usage = usage;
      this.fault = undefined;
    } catch (error) {
      if (store !== this.#store) return;
      this.fault = describeFailure(error);
    }
    this.#host.requestUpdate();
  }
}
