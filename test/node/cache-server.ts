import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { importNar } from "../../src/store/import.ts";
import { calculateNar, renderNar } from "../../src/store/nar.ts";
import { narUrl, renderNarInfo } from "../../src/store/nar-info.ts";
import type { LocalStoreServices, StoreServices } from "../../src/store/services.ts";
import { iterate } from "../../src/stream.ts";
import { SAMPLE, Source, sampleNar } from "../store/fixtures.ts";

const engine = new NodeHashEngine();

/** By which the sample is signed, as text. */
export const SAMPLE_KEY = readFileSync(join(import.meta.dirname, "../fixtures/sample/public-key"), "utf8").trim();

export async function sampleStore(): Promise<LocalStoreServices> {
  const store = createMemoryStore();
  for (const text of SAMPLE) await importNar(store, engine, new Source(sampleNar(text)), { narInfo: text });
  return store;
}

export interface CacheServer extends RunningServer {
  /** Paths of the plain requests, in their order. */
  readonly asked: string[];
}

/** A store as a binary cache whose NARs' URLs hold nodes, without the daemon's own routes. @param services what answers calls at the same address */
export async function startCache(store: StoreServices, services: StoreServices | null = store): Promise<CacheServer> {
  const asked: string[] = [];
  const files = async (path: string): Promise<string | AsyncIterable<Uint8Array> | undefined> => {
    if (path === "/nix-cache-info") return "StoreDir: /nix/store\n";
    for await (const info of store.pathInfos.list()) {
      if (path === `/${info.storePath.slice(11, 43)}.narinfo`) return renderNarInfo(info);
      if (path === `/${narUrl(info.node, info.narSize)}`) return iterate(renderNar(store, info.node));
    }
    return undefined;
  };
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
        const path = request.url ?? "";
        asked.push(path);
        if ("stream" in answer) throw new Error("this is for HTTP/1");
        void files(path).then(async (file) => {
          answer.writeHead(file === undefined ? 404 : 200);
          if (file !== undefined && typeof file !== "string") for await (const piece of file) answer.write(piece);
          answer.end(typeof file === "string" ? file : undefined);
        });
      },
    },
  );
  return { ...server, asked };
}
