import { createMemoryStore } from "../../src/backends/memory.ts";
import { createBinaryCache } from "../../src/node/binary-cache/binary-cache.ts";
import { CacheUploads, memoryRecords } from "../../src/node/binary-cache/uploads.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, type ServerOptions, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";

/** Starts a daemon on a free port of this machine, with a store in memory. */
export async function startLiveDaemon(): Promise<RunningServer> {
  const engine = new NodeHashEngine();
  const store = createMemoryStore(engine);
  const routes = rpcRoutes(store, { engine, calculateNar: (node, options) => calculateNar(store, engine, node, options) });
  const cache = createBinaryCache(store, { engine, uploads: new CacheUploads(memoryRecords()) });
  const fallback: ServerOptions["fallback"] = (request, answer) => {
    if (!cache(request, answer)) answer.writeHead(404).end();
  };
  return startServer({ host: "127.0.0.1", port: 0 }, { routes, fallback });
}
