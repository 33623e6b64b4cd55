import { connectCacheCastore } from "../backends/cache-castore.ts";
import { parsePublicKeys } from "../nix/key.ts";
import { BinaryCache } from "../store/binary-cache.ts";
import { type SubstituteReport, substitutePaths } from "../store/substitute.ts";
import { copyBetweenStores, type SyncReport } from "../store/sync.ts";
import { sendStream } from "../thread/port-stream.ts";
import type { BinaryCacheImport, RemoteAddress, SyncApi, SyncOptions } from "../thread/sync-api.ts";
import { inBatches } from "./batches.ts";
import { connectRemoteAddress } from "./connect-remote.ts";
import type { StoreOperations } from "./store-operations.ts";

/** Implements the calls that copy store paths from or to another machine. */
export class SyncServer implements SyncApi {
  readonly #operations: StoreOperations;

  constructor(operations: StoreOperations) {
    this.#operations = operations;
  }

  remotePathInfos(address: RemoteAddress, to: MessagePort): void {
    const { pool } = this.#operations.store;
    sendStream(
      to,
      inBatches(() => connectRemoteAddress(address, pool).pathInfos.list()),
    );
  }

  async pull(address: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    return this.#operations.write(operation, async ({ services, pool }, running) => {
      const remote = connectRemoteAddress(address, pool);
      return copyBetweenStores(remote, services, storePaths, { ...running, ...options, engine: pool, reuseChunks: true });
    });
  }

  async push(address: RemoteAddress, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    const { services, pool } = this.#operations.store;
    return this.#operations.run(operation, async (running) => {
      const remote = connectRemoteAddress(address, pool);
      // The content of this store was verified when it was written.
      return copyBetweenStores(services, remote, storePaths, { ...running, ...options, engine: pool, verify: false });
    });
  }

  async importBinaryCache(
    url: string,
    storePaths: string[],
    { trustedPublicKeys = [], requireSignatures = true, closure, headers, timeouts }: BinaryCacheImport,
    operation: MessagePort,
  ): Promise<SubstituteReport> {
    const cache = new BinaryCache(url, { headers, timeouts });
    const keys = parsePublicKeys(trustedPublicKeys);
    return this.#operations.write(operation, async ({ services, pool }, options) => {
      let retried = 0;
      await cache.info({ ...options, onRetry: () => retried++ });
      return substitutePaths(services, cache, storePaths, {
        ...options,
        retried,
        closure,
        engine: pool,
        castore: connectCacheCastore(cache.url, pool, { headers, timeouts }),
        trust: requireSignatures ? { keys } : "all",
      });
    });
  }
}
