import { NixCachePathInfoService } from "../backends/nix-cache.ts";
import type { CastoreServices } from "../castore/services.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { acquiring } from "../resource-stack.ts";
import type { PathInfoService } from "../store/path-info-service.ts";
import { publishAfter } from "../store/publish-after.ts";
import type { CalculateNarThere, StoreServices } from "../store/services.ts";
import { backendOf, formatAddress, parseAddress, type ServiceAddress } from "./addresses.ts";
import type { Capability, Opened, SubstituteSource } from "./backends/backend.ts";
import { CacheUploads, memoryRecords } from "./binary-cache/uploads.ts";
import { putAfter, recordAfter } from "./publishing.ts";
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
  readonly calculateNar?: CalculateNarThere | undefined;
  /** Flushes everything to disk and closes connections. */
  close(): Promise<void>;
}

/**
 * Opens the services at three addresses. Opens an address that occurs several times only once.
 *
 * @throws UsageError if an address is wrong or not supported yet, or doesn't offer the service;
 *   StoreError if opening fails
 */
export async function openServices(addresses: ServiceAddresses, engine: HashEngine): Promise<OpenedServices> {
  const parsed = {
    blobs: parseAddress(addresses.blobs),
    directories: parseAddress(addresses.directories),
    pathInfos: parseAddress(addresses.pathInfos),
  };
  requireCapability(parsed.blobs, "blobs");
  requireCapability(parsed.directories, "directories");
  const substituting = offers(parsed.pathInfos, "substitutes");
  if (!substituting) requireCapability(parsed.pathInfos, "pathInfos");
  return acquiring(async (acquired) => {
    const opened = new Map<string, Opened>();
    const at = async (address: ServiceAddress): Promise<Opened> => {
      const key = formatAddress(address);
      const earlier = opened.get(key);
      if (earlier) return earlier;
      const services = acquired.adopt(await openAddress(address, engine), (services) => services.close?.());
      opened.set(key, services);
      return services;
    };
    const { blobs, calculateNar: calculateThere } = await at(parsed.blobs);
    const { directories } = await at(parsed.directories);
    const { pathInfos: stored, substitutes } = await at(parsed.pathInfos);
    if (!blobs || !directories) throw new StoreError("internal", "a backend doesn't offer what its capabilities list");
    const flush = async () => {
      for (const services of opened.values()) await services.flush?.();
    };
    // If there is one store, it orders its own writes. Several stores don't know of each other, so
    // all are flushed before a reference is written. A source of substitutes stores nothing.
    const alone = [...opened.values()].filter((services) => !services.substitutes).length === 1;
    const records = [...opened.values()].find(({ uploadRecords }) => uploadRecords)?.uploadRecords ?? memoryRecords();
    const content = { blobs, directories: alone ? directories : putAfter(directories, flush) };
    const calculateNar = alone ? calculateThere : undefined;
    const pathInfos = substitutes ? substituted(substitutes, content, engine, calculateNar) : stored;
    if (!pathInfos) throw new StoreError("internal", "a backend doesn't offer what its capabilities list");
    return {
      ...content,
      pathInfos: alone ? pathInfos : publishAfter(pathInfos, flush),
      uploads: new CacheUploads(alone ? records : recordAfter(records, flush)),
      flush,
      calculateNar,
      close: () => acquired.dispose(),
    };
  });
}

/** Opens one address. Its backend decides which services there are. */
export function openAddress(address: ServiceAddress, engine: HashEngine): Promise<Opened> {
  return backendOf(address).open(address, engine);
}

export function offers(address: ServiceAddress, capability: Capability): boolean {
  return backendOf(address).capabilities.includes(capability);
}

/** Names of the capabilities, as the flags name the services. */
const NAMES: Readonly<Record<Capability, string>> = {
  blobs: "blobs",
  directories: "directories",
  pathInfos: "path infos",
  substitutes: "path infos",
};

function requireCapability(address: ServiceAddress, capability: Capability): void {
  if (offers(address, capability)) return;
  const offered = backendOf(address).capabilities.map((one) => NAMES[one]);
  throw new UsageError(
    `an address of the scheme ${address.scheme} has only ${offered.join(" and ")}: give another address for ${NAMES[capability]}`,
  );
}

/**
 * Opens the path infos of a cache. The content of each requested path is imported into `content`.
 */
function substituted(
  { cache, ...options }: SubstituteSource,
  content: CastoreServices,
  engine: HashEngine,
  calculateNar: CalculateNarThere | undefined,
): PathInfoService {
  return new NixCachePathInfoService(cache, content, { engine, calculateNar, ...options });
}
