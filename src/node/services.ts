import { createMemoryStore } from "../backends/memory.ts";
import { connectRemoteStore } from "../backends/remote.ts";
import type { BlobService } from "../castore/blob-service.ts";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { RemoteStore, StoreServices } from "../store/services.ts";
import { formatAddress, isNixCache, type NixCacheAddress, parseAddress, type ServiceAddress } from "./addresses.ts";
import { CacheUploads, memoryRecords, type UploadRecords } from "./binary-cache/uploads.ts";
import { openEmbeddedStore } from "./embedded-store.ts";
import { connectGrpc } from "./grpc.ts";
import { openNixCache } from "./nix-cache.ts";
import { FileChunkStore } from "./objects/file-chunk-store.ts";
import { publishAfter, putAfter, recordAfter } from "./publishing.ts";
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
  /** Of a remote that keeps both blobs and directories. */
  readonly calculateNar?: RemoteStore["calculateNar"] | undefined;
  /** Brings what was put to the disk, and ends connections. */
  close(): Promise<void>;
}

/** What one address opens: services that it has not are `undefined`. */
interface Opened {
  readonly blobs: BlobService;
  readonly directories?: StoreServices["directories"];
  readonly pathInfos?: StoreServices["pathInfos"];
  readonly uploadRecords?: UploadRecords;
  readonly calculateNar?: RemoteStore["calculateNar"];
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
  if (isNixCache(parsed.blobs) || isNixCache(parsed.directories))
    throw new UsageError("a binary cache has path infos alone: blobs and directories need addresses that can keep its content");
  const opened = new Map<string, Opened>();
  const at = async (address: OpenableAddress): Promise<Opened> => {
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
    const { blobs, calculateNar: calculateThere } = await at(parsed.blobs);
    const { directories } = await at(parsed.directories);
    if (!directories) throw new UsageError("an address does not have the service that it was given for");
    const listed = isNixCache(parsed.pathInfos) ? undefined : await at(parsed.pathInfos);
    const flush = async () => {
      for (const services of opened.values()) await services.flush?.();
    };
    // Alone, each store publishes by itself; together, none knows of the others.
    const alone = opened.size === 1;
    const records = [...opened.values()].find(({ uploadRecords }) => uploadRecords)?.uploadRecords ?? memoryRecords();
    const content = { blobs, directories: alone ? directories : putAfter(directories, flush) };
    const calculateNar = alone ? calculateThere : undefined;
    const pathInfos = isNixCache(parsed.pathInfos)
      ? openNixCache(parsed.pathInfos, content, engine, calculateNar)
      : listed?.pathInfos;
    if (!pathInfos) throw new UsageError("an address does not have the service that it was given for");
    return {
      ...content,
      pathInfos: alone ? pathInfos : publishAfter(pathInfos, flush),
      uploads: new CacheUploads(alone ? records : recordAfter(records, flush)),
      flush,
      calculateNar,
      close: closeAll,
    };
  } catch (error) {
    await closeAll().catch(() => {});
    throw error;
  }
}

type OpenableAddress = Exclude<ServiceAddress, NixCacheAddress>;

async function open(address: OpenableAddress, engine: HashEngine): Promise<Opened> {
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
      const { blobs, directories, pathInfos, calculateNar } = store;
      return { blobs, directories, pathInfos, calculateNar, close: connection.close };
    }
  }
}
