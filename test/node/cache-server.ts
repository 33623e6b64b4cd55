import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { createBinaryCache } from "../../src/node/binary-cache/binary-cache.ts";
import { CacheUploads, memoryRecords } from "../../src/node/binary-cache/uploads.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { importNar } from "../../src/store/import.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { LocalStoreServices, StoreServices } from "../../src/store/services.ts";
import { SAMPLE, Source, sampleNar } from "../store/fixtures.ts";

const engine = new NodeHashEngine();

/** Public key of the sample's signatures, as text. */
export const SAMPLE_KEY = readFileSync(join(import.meta.dirname, "../fixtures/sample/public-key"), "utf8").trim();

export async function sampleStore(): Promise<LocalStoreServices> {
  const store = createMemoryStore();
  for (const text of SAMPLE) await importNar(store, engine, new Source(sampleNar(text)), { narInfo: text });
  return store;
}

export interface CacheServer extends RunningServer {
  /** Paths of the requests to the binary cache, in order. */
  readonly asked: string[];
}

/**
 * Serves a store as a binary cache, as the daemon does.
 * @param services what answers RPC calls at the same address; null for no calls
 */
export async function startCache(store: StoreServices, services: StoreServices | null = store): Promise<CacheServer> {
  const asked: string[] = [];
  const cache = createBinaryCache(store, { engine, uploads: new CacheUploads(memoryRecords()) });
  const server = await startServer(
    { host: "127.0.0.1", port: 0 },
    {
      routes: (router, closing) => {
        if (!services) return;
        rpcRoutes(services, { engine, calculateNar: (node, options) => calculateNar(services, engine, node, options) })(
          router,
          closing,
        );
      },
      fallback: (request, answer) => {
        asked.push(request.url ?? "");
        if (!cache(request, answer)) answer.writeHead(404).end();
      },
    },
  );
  return { ...server, asked };
}
