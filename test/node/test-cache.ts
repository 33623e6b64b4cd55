import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { type IncomingHttpHeaders, request } from "node:http";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { afterEach, beforeEach } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes } from "../../src/bytes.ts";
import { formatNix32 } from "../../src/nix/hash.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { type BinaryCacheOptions, createBinaryCache } from "../../src/node/binary-cache/binary-cache.ts";
import { CacheUploads, memoryRecords } from "../../src/node/binary-cache/uploads.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { importNar } from "../../src/store/import.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { StoreServices } from "../../src/store/services.ts";

export const SAMPLE = join(import.meta.dirname, "../fixtures/sample");
export const HELLO = "m51r8pw89afxi119diyi9alqnn300a6m";
export const SOURCE = "v0vs3yl60arf6rv126948zlh7sz3a3cj";

export const narInfoOf = (hashPart: string): string => readFileSync(join(SAMPLE, `${hashPart}.narinfo`), "utf8");
export const narOf = (hashPart: string): Uint8Array => readFileSync(join(SAMPLE, parseNarInfo(narInfoOf(hashPart)).url));
export const nixHash = (bytes: Uint8Array): string =>
  formatNix32({ algorithm: "sha256", digest: createHash("sha256").update(bytes).digest() }).slice("sha256:".length);

export async function* once1(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

export async function whole(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  for await (const part of bytes) parts.push(part);
  return concatBytes(parts);
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export const engine: NodeHashEngine = new NodeHashEngine();

/**
 * A binary cache over a store in memory, and a client of it. Requests that the cache does not
 * handle get the status 418.
 */
export class TestCache {
  /** Makes a cache that is empty and running at the start of each test of the file. */
  static forEachTest(): TestCache {
    const cache = new TestCache();
    beforeEach(async () => {
      cache.store = createMemoryStore(engine);
      await cache.start();
    });
    afterEach(() => cache.close());
    return cache;
  }

  store: StoreServices = createMemoryStore(engine);
  #server: RunningServer | undefined;

  get address(): string {
    if (!this.#server) throw new Error("the server was not started");
    return this.#server.address;
  }

  /**
   * Stops the running server, and starts one on the same store. The new server does not know of
   * earlier uploads.
   */
  async start(options: Partial<BinaryCacheOptions> = {}): Promise<void> {
    const uploads = new CacheUploads(memoryRecords());
    const cache = createBinaryCache(this.store, { engine, uploads, ...options });
    await this.close();
    this.#server = await startServer(
      { host: "127.0.0.1", port: 0 },
      {
        routes: () => {},
        fallback: (request, answer) => {
          if (!cache(request, answer)) answer.writeHead(418).end();
        },
      },
    );
  }

  async close(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  async ask(
    method: string,
    path: string,
    options: { headers?: Record<string, string>; body?: Uint8Array | string } = {},
  ): Promise<Answer> {
    const sent = request(`${this.address}${path}`, { method, headers: options.headers ?? {} });
    sent.end(options.body);
    const [response] = await once(sent, "response");
    return { status: response.statusCode, headers: response.headers, body: await buffer(response) };
  }

  addHello(): Promise<PathInfo> {
    return importNar(this.store, engine, once1(narOf(HELLO)), { narInfo: narInfoOf(HELLO) });
  }

  async paths(): Promise<string[]> {
    const found: string[] = [];
    for await (const { storePath } of this.store.pathInfos.list()) found.push(storePath);
    return found;
  }
}
