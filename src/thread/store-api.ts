import type { ProxyMarked } from "comlink";
import type { ImportApi } from "./import-api.ts";
import type { MaintenanceApi } from "./maintenance-api.ts";
import type { ReadApi } from "./read-api.ts";
import type { SyncApi } from "./sync-api.ts";

/**
 * The API of the store worker for the page, over Comlink. A call such as `api.reads.list(...)`
 * costs one message, because Comlink sends the name of the interface along with the call. Each long
 * call takes a port for abort and progress (`operation-port.ts`). Streams travel through ports too
 * (`port-stream.ts`).
 */
export interface StoreApi {
  readonly imports: ImportApi & ProxyMarked;
  readonly reads: ReadApi & ProxyMarked;
  readonly sync: SyncApi & ProxyMarked;
  readonly maintenance: MaintenanceApi & ProxyMarked;
  open(name: string, options: OpenOptions, operation?: MessagePort): Promise<OpenReport>;
  /** Returns as soon as the worker handles messages. */
  ping(): void;
  /**
   * Tells the worker that the page heard of a change. The worker then reads the store again instead
   * of answering from its caches.
   */
  changed(): void;
  destroy(name: string, operation?: MessagePort): Promise<void>;
  close(): Promise<void>;
}

export interface OpenOptions {
  storage: "auto" | "opfs" | "indexeddb";
  durability: "strict" | "relaxed";
  /** Number of hash workers. */
  workers: number;
  /** Absolute URL, for a page whose bundler can't find the script. */
  hashWorkerUrl?: string | undefined;
}

export interface OpenReport {
  /**
   * Identifies the store since its creation. A different id means that the browser evicted the
   * store.
   */
  readonly id: string;
  /** Where the store writes new content. */
  readonly storage: "opfs" | "indexeddb";
  /** Number of packs that the index names but that are missing. */
  readonly missingPacks: number;
  /** Number of complete packs that a lost database or lost index records left behind. */
  readonly unindexedPacks: number;
}
