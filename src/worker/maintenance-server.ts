import { parseHashPart } from "../nix/store-path.ts";
import type { GarbageReport, MaintenanceApi, Pin, RepairReport, StorageUsage, VerifyReport } from "../thread/maintenance-api.ts";
import type { RemoteUse } from "../thread/sync-api.ts";
import { collectGarbage } from "./garbage.ts";
import { deletePin, pinStorePath } from "./pins.ts";
import { refetch } from "./refetch.ts";
import type { RemoteConnections } from "./remote-connections.ts";
import { repairIndex } from "./repair.ts";
import type { StoreOperations } from "./store-operations.ts";
import { storageUsage } from "./usage.ts";
import { verifyStore } from "./verify.ts";

/** Implements the calls that manage what the store keeps, and check its state. */
export class MaintenanceServer implements MaintenanceApi {
  readonly #operations: StoreOperations;
  readonly #remotes: RemoteConnections;

  constructor(operations: StoreOperations, remotes: RemoteConnections) {
    this.#operations = operations;
    this.#remotes = remotes;
  }

  async delete(storePath: string): Promise<boolean> {
    const store = this.#operations.store;
    const known = await store.services.pathInfos.delete(parseHashPart(storePath));
    if (known) this.#operations.tell(store, "delete");
    return known;
  }

  async collectGarbage(operation: MessagePort): Promise<GarbageReport> {
    const store = this.#operations.store;
    return this.#operations.run(operation, async (options) => {
      const report = await collectGarbage(store.packed, options);
      this.#operations.tell(store, "collect");
      return report;
    });
  }

  async verify(remote: RemoteUse | undefined, operation: MessagePort): Promise<VerifyReport> {
    const connection = remote && this.#remotes.of(remote);
    const store = this.#operations.store;
    const { packed, pool } = store;
    return this.#operations.run(operation, (options) =>
      // The lock keeps packs from being rewritten; `holding` keeps the numbers of entries.
      packed.locks.collecting(options.signal, () =>
        packed.holding(async () => {
          const verified = await verifyStore(packed, pool, options);
          if (!connection || verified.roots.length === 0) return verified.report;
          const refetched = await connection.use(pool, options, (from, options) => refetch(packed, pool, verified, from, options));
          this.#operations.tell(store, "repair");
          return { ...verified.report, refetched };
        }),
      ),
    );
  }

  async repair(operation: MessagePort): Promise<RepairReport> {
    const store = this.#operations.store;
    return this.#operations.run(operation, async (options) => {
      const report = await repairIndex(store.packed, store.pool, options);
      if (report.packs > 0) this.#operations.tell(store, "write");
      return report;
    });
  }

  async usage(): Promise<StorageUsage> {
    return storageUsage(this.#operations.store.packed);
  }

  async pin(name: string, storePath: string): Promise<void> {
    return pinStorePath(this.#operations.store.packed, name, storePath);
  }

  async unpin(name: string): Promise<boolean> {
    return deletePin(this.#operations.store.packed, name);
  }

  async pins(): Promise<Pin[]> {
    return this.#operations.store.packed.database.read("pins", (store) => store.getAll());
  }
}
