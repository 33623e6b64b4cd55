import { ReadBuffers } from "../byte-stream.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { OperationOptions } from "../progress.ts";
import type { ResourceStack } from "../resource-stack.ts";
import type { ReadOptions } from "../store/import.ts";
import type { PathResolver } from "../store/path-resolver.ts";
import type { LocalStoreServices } from "../store/services.ts";
import type { Change } from "../thread/change-channel.ts";
import type { ArchiveSource } from "../thread/import-api.ts";
import { operationOptions } from "../thread/operation-port.ts";
import { receiveStream } from "../thread/port-stream.ts";
import { archiveBytes } from "./archive-bytes.ts";
import { writePacked } from "./packed-services.ts";
import type { PackedStore } from "./packed-store.ts";
import type { WriteSession } from "./write-session.ts";

export interface OpenedStore {
  readonly packed: PackedStore;
  readonly pool: HashEngine;
  /** Services that read the committed content. */
  readonly services: LocalStoreServices;
  readonly resolver: PathResolver;
  readonly durability: "strict" | "relaxed";
  readonly changes: BroadcastChannel;
  /** Everything that closing the store releases. */
  readonly resources: ResourceStack;
}

export interface Writing {
  readonly services: LocalStoreServices;
  readonly session: WriteSession;
  readonly pool: HashEngine;
}

export type RunningOptions = OperationOptions & { signal: AbortSignal };

/** The store that this thread has open, and the ways to run operations on it. */
export class StoreOperations {
  /** `undefined` while no store is open. */
  opened: OpenedStore | undefined;

  /** @throws StoreError `closed` if the store is not open, or if its database has ended */
  get store(): OpenedStore {
    if (!this.opened) throw new StoreError("closed", "the store is not open");
    // Not every call reaches the database, which would throw this.
    this.opened.packed.database.ended.throwIfAborted();
    return this.opened;
  }

  /**
   * Tells other tabs about a change. If an operation ends while the store is being closed, its
   * channel is closed already; the operation still succeeds.
   */
  tell(store: OpenedStore, change: Change): void {
    store.resolver.clear();
    if (this.opened === store) store.changes.postMessage(change);
  }

  /** Runs `work` with the abort and the progress of the page's call. */
  async run<T>(operation: MessagePort, work: (options: RunningOptions) => Promise<T>): Promise<T> {
    const { finish, ...options } = operationOptions(operation);
    try {
      return await work(options);
    } finally {
      finish();
    }
  }

  /** Runs `work`, which puts path infos, in a write session. */
  async write<T>(operation: MessagePort, work: (store: Writing, options: RunningOptions) => Promise<T>): Promise<T> {
    return this.run(operation, async (options) => {
      const store = this.store;
      const { packed, pool, durability } = store;
      let used: WriteSession | undefined;
      try {
        return await writePacked(packed, pool, { durability, signal: options.signal }, (services, session) => {
          used = session;
          return work({ services, session, pool }, options);
        });
      } finally {
        // Work that failed or was aborted may have put some store paths before.
        if (used?.mayHaveCommitted) this.tell(store, "write");
      }
    });
  }

  /**
   * Like `write`, for work that reads bytes from the page.
   *
   * @param name name of the import, for error messages
   */
  async read<T>(
    source: ArchiveSource,
    name: unknown,
    operation: MessagePort,
    work: (bytes: AsyncGenerator<Uint8Array>, store: Writing, options: RunningOptions & ReadOptions) => Promise<T>,
  ): Promise<T> {
    const stream = "blob" in source ? source.blob.stream() : receiveStream<Uint8Array>(source.port);
    const buffers = new ReadBuffers();
    const reading: ReadOptions = { size: "blob" in source ? source.blob.size : undefined, reuse: (buffer) => buffers.give(buffer) };
    try {
      return await this.write(operation, (store, options) =>
        work(archiveBytes(stream, source, name, buffers, options), store, { ...options, ...reading }),
      );
    } catch (error) {
      // If the work failed before it read anything, the sender is still waiting. If the stream
      // itself failed, `cancel` rejects with the stream's own error.
      if (!stream.locked) await stream.cancel(error).catch(() => {});
      throw error;
    }
  }
}
