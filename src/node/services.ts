import { createMemoryStore } from "../backends/memory.ts";
import { connectRemoteStore } from "../backends/remote.ts";
import type { BlobService } from "../castore/blob-service.ts";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { StoreServices } from "../store/services.ts";
import { formatAddress, parseAddress, type ServiceAddress } from "./addresses.ts";
import { CacheUploads, memoryRecords } from "./binary-cache/uploads.ts";
import { openEmbeddedStore } from "./embedded-store.ts";
import { connectGrpc } from "./grpc.ts";
import { FileChunkStore } from "./object-store.ts";
import { publishAfter, putAfter } from "./publishing.ts";
import { UsageError } from "./usage-error.ts";

export interface ServiceAddresses {
  readonly blobs: string;
  readonly directories: string;
  readonly pathInfos: string;
}

export interface OpenedServices extends StoreServices {
  /** What a binary cache remembers of what clients have put: with the embedded store, if there is one, else until the end of the program. */
  readonly uploads: CacheUploads;
  /** Resolves when what was put before survives a crash. */
  flush(): Promise<void>;
  /** Brings what was put to the disk, and ends connections. */
  close(): Promise<void>;
}

/** What one address opens: services that it has not are `undefined`. */
interface Opened {
  readonly blobs: BlobService;
  readonly directories?: StoreServices["directories"];
  readonly pathInfos?: StoreServices["pathInfos"];
  readonly uploads?: CacheUploads;
  readonly flush?: () => Promise<void>;
  readonly close?: () => Promise<void>;
}

/**
 * Opens the services at three addresses; the same address twice is opened once.
 *
 * @throws UsageError for an address that is none, is not built yet or has no such service; StoreError if opening fails
 */
export async function openServices(addresses: ServiceAddresses, engine: HashEngine): Promise<OpenedServices> {
  const parsed = {
    blobs: parseAddress(addresses.blobs),
    directories: parseAddress(addresses.directories),
    pathInfos: parseAddress(addresses.pathInfos),
  };
  for (const [service, { scheme }] of [
    ["directories", parsed.directories],
    ["path infos", parsed.pathInfos],
  ] as const) {
    if (scheme === "objectstore+file") throw new UsageError(`${service} in ${scheme} are not built yet`);
  }
  const opened = new Map<string, Opened>();
  const at = async (address: ServiceAddress): Promise<Opened> => {
    const key = formatAddress(address);
    const services = opened.get(key) ?? (await open(address, engine));
    opened.set(key, services);
    return services;
  };
  const closeAll = async (): Promise<void> => {
    const results = await Promise.allSettled([...opened.values()].map(({ close }) => close?.()));
    for (const result of results) if (result.status === "rejected") throw result.reason;
  };
  try {
    const { blobs } = await at(parsed.blobs);
    const { directories } = await at(parsed.directories);
    const { pathInfos } = await at(parsed.pathInfos);
    if (!directories || !pathInfos) throw new UsageError("an address does not have the service that it was given for");
    const flush = async () => {
      for (const services of opened.values()) await services.flush?.();
    };
    const uploads = [...opened.values()].find((services) => services.uploads)?.uploads ?? new CacheUploads(memoryRecords());
    // Alone, each store publishes by itself; together, none knows of the others.
    if (opened.size === 1) return { blobs, directories, pathInfos, uploads, flush, close: closeAll };
    return {
      blobs,
      directories: putAfter(directories, flush),
      pathInfos: publishAfter(pathInfos, flush),
      uploads,
      flush,
      close: closeAll,
    };
  } catch (error) {
    await closeAll().catch(() => {});
    throw error;
  }
}

async function open(address: ServiceAddress, engine: HashEngine): Promise<Opened> {
  switch (address.scheme) {
    case "memory":
      return createMemoryStore(engine);
    case "file":
      return openEmbeddedStore(address.path, { engine });
    case "objectstore+file": {
      const chunks = await FileChunkStore.open(address.path);
      return { blobs: new ChunkedBlobService(chunks, engine), flush: () => chunks.flush(), close: () => chunks.close() };
    }
    default: {
      const connection = connectGrpc(address);
      const store = connectRemoteStore(connection.transport, { name: formatAddress(address) });
      return { blobs: store.blobs, directories: store.directories, pathInfos: store.pathInfos, close: connection.close };
    }
  }
}
