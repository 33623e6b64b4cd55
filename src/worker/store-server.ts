import { proxy } from "comlink";
import { provideBrotli } from "../compression/brotli.ts";
import type { HashEngine } from "../hash/engine.ts";
import { HashPool } from "../hash/pool.ts";
import type { OperationOptions } from "../progress.ts";
import { acquiring } from "../resource-stack.ts";
import { PathResolver } from "../store/path-resolver.ts";
import { changeChannel } from "../thread/change-channel.ts";
import type { OpenOptions, OpenReport, StoreApi } from "../thread/store-api.ts";
import { ImportServer } from "./import-server.ts";
import { loadBrotli } from "./load-brotli.ts";
import { MaintenanceServer } from "./maintenance-server.ts";
import { deletePackedStore, openPackedStore } from "./open-packed-store.ts";
import { packedReader } from "./packed-services.ts";
import { ReadServer } from "./read-server.ts";
import { RemoteConnections } from "./remote-connections.ts";
import { countLostPacks } from "./spare-packs.ts";
import { spawnHashWorker } from "./spawn-hash-worker.ts";
import { StoreOperations } from "./store-operations.ts";
import { SyncServer } from "./sync-server.ts";

/** Starts the hash engine of a store. */
export type StartEngine = (options: OpenOptions) => HashEngine;

const startPool: StartEngine = ({ workers, hashWorkerUrl }) => new HashPool(workers, () => spawnHashWorker(hashWorkerUrl));

/** Implements the calls of the page: it opens and closes the store that the four servers use. */
export class StoreServer implements StoreApi {
  readonly #startEngine: StartEngine;
  readonly #operations = new StoreOperations();
  readonly #remotes = new RemoteConnections();
  readonly imports = proxy(new ImportServer(this.#operations));
  readonly reads = proxy(new ReadServer(this.#operations));
  readonly sync = proxy(new SyncServer(this.#operations, this.#remotes));
  readonly maintenance = proxy(new MaintenanceServer(this.#operations, this.#remotes));

  /** @param startEngine by default a pool of workers */
  constructor(startEngine: StartEngine = startPool) {
    this.#startEngine = startEngine;
    provideBrotli(loadBrotli);
  }

  async open(name: string, options: OpenOptions, operation?: MessagePort): Promise<OpenReport> {
    const open = (running: OperationOptions) => this.#open(name, options, running);
    return operation ? this.#operations.run(operation, open) : open({});
  }

  async #open(name: string, options: OpenOptions, running: OperationOptions): Promise<OpenReport> {
    return acquiring(async (acquired) => {
      const pool = acquired.use(this.#startEngine(options));
      const packed = await openPackedStore(name, options.storage, running);
      acquired.use(packed.database);
      acquired.use(packed);
      const services = packedReader(packed, pool);
      const changes = acquired.use(changeChannel(name));
      const resolver = new PathResolver(services);
      // Another tab may have garbage-collected packs that our open handles keep in existence.
      changes.onmessage = () => packed.sweepLater();
      const opened = { packed, pool, services, resolver, durability: options.durability, changes, resources: acquired };
      const id = String(await packed.database.read("meta", (store) => store.get("id")));
      packed.database.ended.addEventListener("abort", () => {
        if (packed.database.isEvicted) this.#operations.tell(opened, { evicted: id });
      });
      const missingPacks = await packed.missingPacks();
      const unindexedPacks = await countLostPacks(packed);
      this.#operations.opened = opened;
      return { id, storage: packed.storage, missingPacks, unindexedPacks };
    });
  }

  ping(): void {}

  changed(): void {
    this.#operations.opened?.resolver.clear();
  }

  /** Deletes the store with all its content. Other tabs that have it open close it. */
  async destroy(name: string, operation?: MessagePort): Promise<void> {
    await this.close();
    const destroy = ({ onProgress }: OperationOptions) =>
      deletePackedStore(name, (phase) => onProgress?.({ phase, unit: "none", loaded: 0 }));
    return operation ? this.#operations.run(operation, destroy) : destroy({});
  }

  async close(): Promise<void> {
    const { opened } = this.#operations;
    this.#operations.opened = undefined;
    this.#remotes.close();
    await opened?.resources.dispose();
  }
}
