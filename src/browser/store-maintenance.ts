import type { OperationOptions } from "../progress.ts";
import type { GarbageReport, Pin, RepairReport, StorageUsage, VerifyReport } from "../thread/maintenance-api.ts";
import type { Remote } from "./remote.ts";
import { StoreSync } from "./store-sync.ts";

/** The methods of a `Store` that manage what it keeps, and check its state. */
export class StoreMaintenance extends StoreSync {
  /**
   * Deletes a store path. Its content stays until the next `collectGarbage`.
   *
   * @returns whether the path was there
   */
  async delete(storePath: string): Promise<boolean> {
    return this.calls.call(this.calls.api.maintenance.delete(storePath));
  }

  /**
   * Deletes the content that no store path and no pin refers to. Imports, pulls and reads can run
   * at the same time, in other tabs too; space that they still need is freed when they end. An
   * abort or a crash loses nothing: the next run continues.
   *
   * @throws StoreError `unavailable` if the browser has no Web Locks
   */
  async collectGarbage(options: OperationOptions = {}): Promise<GarbageReport> {
    return this.calls.operation(options, (port) => this.calls.api.maintenance.collectGarbage(port));
  }

  /**
   * Checks all stored data against its digests, and checks that all store paths and pins are
   * complete. Damage is part of the report, not an error. With a `remote`, `verify` fetches the
   * damaged and missing objects that store paths or pins need, if the remote has them.
   *
   * @throws StoreError `unavailable` if the browser has no Web Locks
   */
  async verify(options: { remote?: Remote | undefined } & OperationOptions = {}): Promise<VerifyReport> {
    const remote = options.remote && this.calls.remotes.begin(options.remote);
    return this.calls.operation(options, (port) => this.calls.api.maintenance.verify(remote?.use, port), remote?.end);
  }

  /**
   * Brings back content whose entries in the index were lost (`losses.unindexedPacks`). It reads
   * all packs that the index lacks, and checks each object against its digest. If the browser lost
   * the whole database, `repair` also restores the store paths and their signatures. A store path
   * that was deleted may come back too, and pins are lost: see docs/storage.md. It waits until no
   * tab writes to the store, collects garbage, verifies or repairs. An abort changes nothing.
   *
   * @throws StoreError `unavailable` if the browser has no Web Locks
   */
  async repair(options: OperationOptions = {}): Promise<RepairReport> {
    return this.calls.operation(options, (port) => this.calls.api.maintenance.repair(port));
  }

  /** Returns the space that the store uses and the space that the browser allows. */
  async usage(): Promise<StorageUsage> {
    return this.calls.call(this.calls.api.maintenance.usage());
  }

  /**
   * Asks the browser not to evict the store when space is short. Call it after an import that the
   * user started, because the browser may ask the user.
   *
   * @returns whether the browser agreed; `false` if the browser has no such feature
   */
  async persist(): Promise<boolean> {
    return (await navigator.storage?.persist?.()) ?? false;
  }

  /**
   * Protects the content of a store path from garbage collection, even if the path is deleted.
   *
   * @throws StoreError `not-found` if the path is missing
   */
  async pin(name: string, storePath: string): Promise<void> {
    return this.calls.call(this.calls.api.maintenance.pin(name, storePath));
  }

  /**
   * Removes a pin.
   *
   * @returns whether the pin was there
   */
  async unpin(name: string): Promise<boolean> {
    return this.calls.call(this.calls.api.maintenance.unpin(name));
  }

  /** Returns all pins, ordered by name. */
  async pins(): Promise<Pin[]> {
    return this.calls.call(this.calls.api.maintenance.pins());
  }
}
