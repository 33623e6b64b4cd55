import type { HashEngine } from "../hash/engine.ts";
import { formatContentAddress } from "../nix/content-address.ts";
import { formatSri } from "../nix/hash.ts";
import type { NarInfo } from "../nix/narinfo.ts";
import { formatSignature } from "../nix/signature.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { TaskPool } from "../task-pool.ts";
import type { BinaryCache } from "./binary-cache.ts";
import { closureOf, requirePathInfo } from "./closure.ts";
import { importNar } from "./import.ts";
import type { PathInfoService } from "./path-info-service.ts";
import { addToPresent } from "./present.ts";
import type { StoreServices } from "./services.ts";
import { checkTrust, type TrustedInfo, type TrustPolicy } from "./trust.ts";

export interface SubstituteOptions extends OperationOptions {
  readonly engine: HashEngine;
  readonly trust: TrustPolicy;
  /** Whether all that the paths refer to comes along; by default it does. */
  readonly closure?: boolean | undefined;
  /** How many NARs are read at a time; 4 if not given. */
  readonly concurrency?: number | undefined;
}

export interface SubstituteReport {
  /** Store paths that the store has now and had not before. */
  paths: number;
  /** Bytes of their NARs. */
  bytes: number;
  /** Store paths that were asked for and that the store had already. */
  reused: number;
}

const CONCURRENCY = 4;

/** What a NARInfo says of a path, whose content is not here. */
interface Substitute extends TrustedInfo {
  readonly text: string;
  readonly info: NarInfo;
}

/**
 * Imports store paths from a binary cache, as far as they are missing. Each NARInfo is looked at before any NAR is read, and one that
 * `trust` does not take ends all of it. A path shows up after those that it refers to, and when its NAR has the size and the hash that
 * were signed, and the content address where it has one. Progress: `reading`, in bytes of the NARs.
 *
 * @param storePaths absolute paths, base names or hash parts
 * @throws StoreError `not-found` if the cache lacks a path or a reference, `denied` for one that is not trusted, `corrupt` or `invalid`
 *   for what is not as it is promised, `conflict` if the store has one of the paths with other content
 */
export async function substitutePaths(
  store: StoreServices,
  cache: BinaryCache,
  storePaths: readonly string[],
  options: SubstituteOptions,
): Promise<SubstituteReport> {
  const { signal } = options;
  try {
    const source = { get: (hashPart: string) => substitute(cache, hashPart, signal) };
    const wanted =
      options.closure === false
        ? await Promise.all(storePaths.map((storePath) => requirePathInfo(source, storePath, { signal })))
        : await closureOf(source, storePaths, { signal });
    for (const info of wanted) await checkTrust(info, options.trust);
    const missing = await addToPresent(store, wanted, signal);
    await importAll(store, cache, missing, options);
    const bytes = missing.reduce((sum, { narSize }) => sum + narSize, 0);
    return { paths: missing.length, bytes, reused: wanted.length - missing.length };
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

async function substitute(cache: BinaryCache, hashPart: string, signal: AbortSignal | undefined): Promise<Substitute | undefined> {
  const found = await cache.narInfo(hashPart, { signal });
  if (!found) return undefined;
  const { storePath, narHash, narSize, references, ca, signatures } = found.info;
  return {
    ...found,
    storePath,
    narHash: formatSri(narHash),
    narSize,
    references,
    ca: ca && formatContentAddress(ca),
    signatures: signatures.map(formatSignature),
  };
}

/** @param infos references before what refers to them */
async function importAll(
  store: StoreServices,
  cache: BinaryCache,
  infos: readonly Substitute[],
  { engine, concurrency = CONCURRENCY, signal, onProgress }: SubstituteOptions,
): Promise<void> {
  const total = infos.reduce((sum, { narSize }) => sum + narSize, 0);
  let loaded = 0;
  // What fails ends the others.
  const failed = new AbortController();
  const abort = (): void => failed.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  const imports = new Map<string, Promise<void>>();
  const pool = new TaskPool(concurrency);
  try {
    for (const { storePath, references, text, info } of infos) {
      await pool.run(async () => {
        const before = references.map((reference) => imports.get(parseHashPart(reference)));
        let read = 0;
        const onRead = (now: number): void => {
          loaded += now - read;
          read = now;
          onProgress?.({ phase: "reading", loaded, total });
        };
        const work = importNar(
          { ...store, pathInfos: afterwards(store.pathInfos, before) },
          engine,
          cache.nar(info, engine, { signal: failed.signal }),
          { narInfo: text, signal: failed.signal, onProgress: (progress) => onRead(progress.loaded) },
        ).then(() => {});
        work.catch((error: unknown) => failed.abort(error));
        imports.set(parseHashPart(storePath), work);
        await work;
      });
    }
    await pool.finish();
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/** The same, in which a path shows up only when `before` have. */
function afterwards(pathInfos: PathInfoService, before: readonly (Promise<void> | undefined)[]): PathInfoService {
  return {
    get: (hashPart, options) => pathInfos.get(hashPart, options),
    list: (options) => pathInfos.list(options),
    async put(info, options) {
      await Promise.all(before);
      return pathInfos.put(info, options);
    },
  };
}
