import { connectCacheCastore } from "../backends/cache-castore.ts";
import { parsePublicKeys } from "../nix/key.ts";
import { BinaryCache } from "../store/binary-cache.ts";
import { type SubstituteReport, substitutePaths } from "../store/substitute.ts";
import { copyBetweenStores, type SyncReport } from "../store/sync.ts";
import { sendStream } from "../thread/port-stream.ts";
import type { BinaryCacheImport, RemoteUse, SyncApi, SyncOptions } from "../thread/sync-api.ts";
import { inBatches } from "./batches.ts";
import type { RemoteConnections } from "./remote-connections.ts";
import type { StoreOperations } from "./store-operations.ts";

/** Implements the calls that copy store paths from or to another machine. */
export class SyncServer implements SyncApi {
  readonly #operations: StoreOperations;
  readonly #remotes: RemoteConnections;

  constructor(operations: StoreOperations, remotes: RemoteConnections) {
    this.#operations = operations;
    this.#remotes = remotes;
  }

  remotePathInfos(remote: RemoteUse, to: MessagePort): void {
    const connection = this.#remotes.of(remote);
    const { pool } = this.#operations.store;
    sendStream(
      to,
      inBatches(() => connection.list(pool, ({ pathInfos }) => pathInfos.list())),
    );
  }

  async pull(remote: RemoteUse, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    const connection = this.#remotes.of(remote);
    return this.#operations.write(operation, ({ services, pool }, running) =>
      connection.use(pool, running, (from, running) =>
        copyBetweenStores(from, services, storePaths, { ...running, ...options, engine: pool, reuseChunks: true }),
      ),
    );
  }

  async push(remote: RemoteUse, storePaths: string[], options: SyncOptions, operation: MessagePort): Promise<SyncReport> {
    const connection = this.#remotes.of(remote);
    const { services, pool } = this.#operations.store;
    return this.#operations.run(operation, (running) =>
      connection.use(pool, running, (to, running) =>
        // The content of this store was verified when it was written.
        copyBetweenStores(services, to, storePaths, { ...running, ...options, engine: pool, verify: false }),
      ),
    );
  }

  forgetRemote(id: number): void {
    this.#remotes.forget(id);
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
