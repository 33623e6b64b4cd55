import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import type { Change } from "../thread/change-channel.ts";
import type { RepairReport } from "../thread/maintenance-api.ts";
import { rememberEvicted } from "./eviction.ts";
import { StoreCalls } from "./store-calls.ts";
import { StoreMaintenance } from "./store-maintenance.ts";
import type { StoreConnection } from "./store-worker-client.ts";

export interface StoreLosses {
  readonly evicted: boolean;
  readonly missingPacks: number;
  readonly unindexedPacks: number;
}

export interface StoreCondition extends StoreLosses {
  readonly id: string;
  readonly storage: "opfs" | "indexeddb";
}

/**
 * A Nix store in this browser; open it with `openStore`. Its worker does all heavy work.
 *
 * Methods take store paths as `/nix/store/<hash>-<name>`, `<hash>-<name>` or `<hash>`. They take
 * paths inside a store path as names joined by `/`, in text or bytes; the empty path is the root.
 * Methods reject with a `StoreError`, or with `signal.reason` after an abort. After a failure or an
 * abort, the store is as it was before, with two exceptions. Methods that import several store
 * paths (`pull`, `importBinaryCache`, `importNario`) keep the paths that were already complete.
 * `collectGarbage` may already have deleted content that nothing refers to.
 *
 * @fires change when this tab or another one has added or deleted store paths, or when the browser
 *   has deleted the store (`losses.evicted`)
 */
export class Store extends StoreMaintenance {
  readonly name: string;
  /** Storage for new content. */
  readonly storage: "opfs" | "indexeddb";
  #id: string;
  #losses: StoreLosses;
  #worker: StoreConnection;
  #changes: BroadcastChannel;

  /** @internal */
  constructor(name: string, worker: StoreConnection, changes: BroadcastChannel, { id, storage, ...losses }: StoreCondition) {
    super(new StoreCalls(worker));
    this.name = name;
    this.storage = storage;
    this.#id = id;
    this.#losses = losses;
    this.#worker = worker;
    this.#changes = changes;
    changes.onmessage = ({ data }: MessageEvent<Change>) => {
      // The worker may hear of the change later than this page, and a listener may query the store
      // at once.
      worker.api.changed().catch(() => {});
      if (typeof data === "object") {
        // Another tab may report the eviction of an earlier store of this name.
        if (data.evicted === this.#id) this.endEvicted();
      } else if (data !== "collect") {
        this.dispatchEvent(new Event("change"));
      }
    };
  }

  /**
   * Data that was lost:
   *
   * - `evicted`: the browser has deleted the whole store, to free space or because the user cleared
   *   this site's data. If that happened before the store was opened, the store is now empty. If it
   *   happened while the store was open, a `change` event fires and every call rejects with
   *   `closed`; `openStore` then creates a new store.
   * - `missingPacks`: number of packs that were missing when the store was opened. `verify` reports
   *   the details.
   * - `unindexedPacks`: number of packs that the index lacked when the store was opened, because
   *   the browser lost the store's database or a part of it. `repair` brings their content back,
   *   and sets this number to 0.
   */
  get losses(): StoreLosses {
    return this.#losses;
  }

  override async repair(options: OperationOptions = {}): Promise<RepairReport> {
    const report = await super.repair(options);
    this.#losses = { ...this.#losses, unindexedPacks: 0 };
    return report;
  }

  /** Closes the store and ends its worker. Operations in progress reject with `closed`. */
  async close(): Promise<void> {
    this.#changes.close();
    await this.#worker.close();
  }

  /**
   * Ends the store because the browser has deleted it.
   *
   * @internal
   */
  endEvicted(): void {
    if (this.#worker.lost.aborted) return;
    rememberEvicted(this.name, this.#id);
    this.#losses = { ...this.#losses, evicted: true };
    this.#worker.end(new StoreError("closed", `the browser has deleted the store ${JSON.stringify(this.name)}; open it again`));
    this.dispatchEvent(new Event("change"));
  }
}
