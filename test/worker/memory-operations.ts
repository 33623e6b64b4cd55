import { ResourceStack } from "../../src/resource-stack.ts";
import { PathResolver } from "../../src/store/path-resolver.ts";
import { packedReader } from "../../src/worker/packed-services.ts";
import { StoreOperations } from "../../src/worker/store-operations.ts";
import { engine, type MemoryStore, memoryStore } from "./memory-store.ts";

/** A store in memory that is open, as the servers of the worker see it. */
export interface MemoryOperations extends MemoryStore {
  readonly operations: StoreOperations;
  /** Changes that other tabs were told of. */
  readonly told: unknown[];
}

export function memoryOperations(world: MemoryStore = memoryStore()): MemoryOperations {
  const told: unknown[] = [];
  const services = packedReader(world.store, engine);
  const operations = new StoreOperations();
  operations.opened = {
    packed: world.store,
    pool: engine,
    services,
    resolver: new PathResolver(services),
    durability: "strict",
    changes: { postMessage: (change: unknown) => told.push(change) } as unknown as BroadcastChannel,
    resources: new ResourceStack(),
  };
  return { ...world, operations, told };
}

/** A port for the abort and the progress of a call, of which the test uses neither. */
export function silentPort(): MessagePort {
  const { port1, port2 } = new MessageChannel();
  port2.close();
  return port1;
}
