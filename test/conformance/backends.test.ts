import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { NixCachePathInfoService } from "../../src/backends/nix-cache.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { parseHashPart } from "../../src/nix/store-path.ts";
import { parseAddress } from "../../src/node/addresses.ts";
import { openEmbeddedStore } from "../../src/node/embedded-store.ts";
import { connectGrpc } from "../../src/node/grpc.ts";
import { BinaryCache } from "../../src/store/binary-cache.ts";
import { DerivedDirectories } from "../../src/store/derived-directories.ts";
import { renderNar } from "../../src/store/nar.ts";
import { narUrl, renderNarInfo } from "../../src/store/nar-info.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { blobServiceSuite } from "./blob-service.ts";
import { directoryServiceSuite } from "./directory-service.ts";
import { startLiveDaemon } from "./live-daemon.ts";
import type { Backend, BackendsIn } from "./matrix.ts";
import { pathInfoServiceSuite } from "./path-info-service.ts";

function overHttp(protocol: "connect" | "grpc-web"): Omit<Backend, "name"> {
  return {
    canDelete: false,
    open: async () => {
      const daemon = await startLiveDaemon();
      const transport = createBrowserTransport({ baseUrl: daemon.address, protocol });
      return { store: connectRemoteStore(transport, { name: daemon.address }), close: () => daemon.close() };
    },
  };
}

/**
 * Creates a backend that keeps content in memory, and reads path infos from a cache that serves
 * what `publish` was given.
 */
function nixBinaryCache(): Omit<Backend, "name"> {
  const files = new Map<string, string | ReadableStream<Uint8Array>>([["nix-cache-info", "StoreDir: /nix/store\n"]]);
  return {
    canDelete: false,
    async open() {
      const content = createMemoryStore();
      const cache = new BinaryCache("https://cache.test", {
        fetch: async (url) => {
          const file = files.get(String(url).replace("https://cache.test/", ""));
          return new Response(file, { status: file === undefined ? 404 : 200 });
        },
      });
      const pathInfos = new NixCachePathInfoService(cache, content, { engine: new InlineHashEngine(), trust: "all" });
      return { store: { ...content, pathInfos }, close: async () => {} };
    },
    async publish(store, info) {
      files.set(`${parseHashPart(info.storePath)}.narinfo`, renderNarInfo(info));
      files.set(narUrl(info.node, info.narSize), renderNar(store, info.node));
    },
  };
}

const BACKENDS: Record<BackendsIn<"node">, Omit<Backend, "name">> = {
  memory: { canDelete: true, open: async () => ({ store: createMemoryStore(), close: async () => {} }) },
  "memory, cached": {
    canDelete: true,
    open: async () => {
      const store = createMemoryStore();
      return { store: { ...store, directories: new CachedDirectories(store.directories) }, close: async () => {} };
    },
  },
  "memory, derived": {
    canDelete: true,
    open: async () => {
      const store = createMemoryStore();
      const directories = new DerivedDirectories(store.directories, { inMemory: true });
      return { store: { ...store, directories }, close: async () => {} };
    },
  },
  embedded: {
    canDelete: true,
    open: async () => {
      const dir = await mkdtemp(join(tmpdir(), "embedded-"));
      const store = await openEmbeddedStore(dir);
      const close = async () => {
        await store.close();
        await rm(dir, { recursive: true });
      };
      return { store, close };
    },
  },
  "remote over gRPC": {
    canDelete: false,
    open: async () => {
      const daemon = await startLiveDaemon();
      const address = parseAddress(daemon.address.replace("http:", "grpc+http:"));
      if (address.scheme !== "grpc+http") throw new Error(`unexpected scheme ${address.scheme}`);
      const connection = connectGrpc(address);
      const close = async () => {
        await connection.close();
        await daemon.close();
      };
      return { store: connectRemoteStore(connection.transport, { name: daemon.address }), close };
    },
  },
  "remote over Connect": overHttp("connect"),
  "remote over gRPC-Web": overHttp("grpc-web"),
  "nix binary cache": nixBinaryCache(),
};

for (const [name, backend] of Object.entries(BACKENDS)) {
  blobServiceSuite({ name, ...backend });
  directoryServiceSuite({ name, ...backend });
  pathInfoServiceSuite({ name, ...backend });
}
