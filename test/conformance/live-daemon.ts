import { createMemoryStore } from "../../src/backends/memory.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";

/** A daemon on a free port of this machine, over a store in memory. */
export async function startLiveDaemon(): Promise<RunningServer> {
  const engine = new NodeHashEngine();
  const store = createMemoryStore(engine);
  const routes = rpcRoutes(store, { engine, calculateNar: (node, options) => calculateNar(store, engine, node, options) });
  return startServer({ host: "127.0.0.1", port: 0 }, { routes });
}
