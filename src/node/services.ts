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
  /**
   * Data that clients have put into the binary cache. It is stored in the embedded store, if there
   * is one. Otherwise it is lost when the program ends.
   */
  readonly uploads: CacheUploads;
  /** Resolves when everything that was put before survives a crash. */
  flush(): Promise<void>;
  /** Calculates NARs at the remote, if one remote stores both blobs and directories. */
  readonly calculateNar?: RemoteStore["calculateNar"] | undefined;
  /** Flushes everything to disk and closes connections. */
  close(): Promise<void>;
}

/** Services at one address. Those that the address doesn't offer are `undefined`. */
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
 * Opens the services at three addresses. Opens an address that occurs several times only once.
 *
 * @throws UsageError if an address is wrong, not supported yet or doesn't offer the service;
 *   StoreError if opening fails
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
    if (scheme === "objectstore+file") throw new UsageError(`${service} in ${scheme} are not supported yet`);
  }
  if (isNixCache(parsed.blobs) || isNixCache(parsed.directories))
    throw new UsageError(
      "a binary cache has only path infos: give other addresses for blobs and directories, to store its content",
    );
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
    if (!directories) throw new UsageError("the address for directories has no directory service");
    const listed = isNixCache(parsed.pathInfos) ? undefined : await at(parsed.pathInfos);
    const flush = async () => {
      for (const services of opened.values()) await services.flush?.();
    };
    // If there is one store, it orders its own writes. Several stores don't know of each other, so
    // all are flushed before a reference is written.
    const alone = opened.size === 1;
    const records = [...opened.values()].find(({ uploadRecords }) => uploadRecords)?.uploadRecords ?? memoryRecords();
    const content = { blobs, directories: alone ? directories : putAfter(directories, flush) };
    const calculateNar = alone ? calculateThere : undefined;
    const pathInfos = isNixCache(parsed.pathInfos)
      ? openNixCache(parsed.pathInfos, content, engine, calculateNar)
      : listed?.pathInfos;
    if (!pathInfos) throw new UsageError("the address for path infos has no path info service");
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
