import { allEnded } from "../all-ended.ts";
import { quote } from "../bytes.ts";
import { dependenciesFirst } from "../depth-first.ts";
import { isStoreError, StoreError } from "../error.ts";
import { parseHashPart, parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * Path infos requested at a time: enough to hide a remote's latency, few enough for the number of
 * connections that a page may open.
 */
const CONCURRENCY = 16;

/**
 * Store paths in a closure. No real closure comes near this limit. It stops a hostile remote that
 * names new references forever.
 */
const MAX_CLOSURE = 250_000;

/**
 * The part of a path info that a closure walk needs: of a PathInfo, or of a NARInfo whose content
 * is not here yet.
 */
export type Referring = Pick<PathInfo, "storePath" | "references">;

/** A PathInfoService, or another service that knows references. */
export interface ReferenceSource<T extends Referring> {
  /** Name for error messages; "the store" by default. */
  readonly name?: string | undefined;
  /** Returns `undefined` if the path is missing. */
  get(hashPart: string, options?: { signal?: AbortSignal | undefined }): Promise<T | undefined>;
}

interface Found<T> {
  readonly info: T;
  /** Hash parts of the references, without the path's own. */
  readonly references: readonly string[];
}

interface Wanted {
  /** The path in the form in which the referrer names it. */
  readonly storePath: string;
  readonly referrer: string | undefined;
}

export interface ClosureOptions {
  signal?: AbortSignal | undefined;
  /**
   * Called for each path that can't be read. The walk continues without this path, unless the
   * callback throws. By default, the first such path ends the walk.
   *
   * @param storePath the path as the referrer names it: an absolute path, a base name or a hash
   *   part
   */
  onFailure?: ((storePath: string, error: StoreError) => void) | undefined;
}

/**
 * Returns the closure of `roots`: the roots and all their direct and indirect references, each
 * once, dependencies first. If it rejects, all its requests have ended by then.
 *
 * @param roots absolute paths, base names or hash parts
 * @throws StoreError `not-found` if a path is missing (the message names the path and its
 *   referrer); `invalid` if references form a cycle (a path may refer to itself), or if a reference
 *   has another name than the path; `corrupt` if the service returns another path than the
 *   requested one
 */
export async function closureOf<T extends Referring>(
  pathInfos: ReferenceSource<T>,
  roots: readonly string[],
  options: ClosureOptions = {},
): Promise<T[]> {
  const found = new Map<string, Found<T>>();
  /** Hash parts requested so far, whether found or not. */
  const asked = new Set<string>();
  let wanted = new Map<string, Wanted>(roots.map((root) => [parseHashPart(root), { storePath: root, referrer: undefined }]));
  const start = [...wanted.keys()];
  while (wanted.size > 0) {
    for (const hashPart of wanted.keys()) asked.add(hashPart);
    const next = new Map<string, Wanted>();
    for (const info of await getAll(pathInfos, [...wanted.values()], options)) {
      const self = parseHashPart(info.storePath);
      const references: string[] = [];
      for (const reference of info.references) {
        const hashPart = parseHashPart(reference);
        if (hashPart === self) continue;
        references.push(hashPart);
        if (!asked.has(hashPart)) next.set(hashPart, { storePath: reference, referrer: info.storePath });
        if (asked.size + next.size > MAX_CLOSURE)
          throw new StoreError("invalid", `the closure has more than ${MAX_CLOSURE} store paths`);
      }
      found.set(self, { info, references });
    }
    wanted = next;
  }
  checkReferenceNames(found);
  const known = (hashPart: string): Found<T>[] => {
    // The order leaves out a path that could not be read.
    const path = found.get(hashPart);
    return path ? [path] : [];
  };
  const order = dependenciesFirst(
    start.flatMap(known),
    ({ references }) => references.flatMap(known),
    ({ info }) => {
      throw new StoreError("invalid", `store path ${info.storePath} refers to itself through other store paths`);
    },
  );
  return order.map(({ info }) => info);
}

/**
 * Returns the path info of one store path.
 *
 * @throws StoreError `not-found` if the path is missing or has another name; `corrupt` if the
 *   service returns another path
 */
export async function requirePathInfo<T extends Referring>(
  pathInfos: ReferenceSource<T>,
  storePath: string,
  options: { signal?: AbortSignal | undefined; referrer?: string | undefined } = {},
): Promise<T> {
  options.signal?.throwIfAborted();
  const hashPart = parseHashPart(storePath);
  const info = await pathInfos.get(hashPart, { signal: options.signal });
  if (!info) {
    const why = options.referrer === undefined ? "" : `, which ${options.referrer} refers to,`;
    throw new StoreError("not-found", `store path ${storePath}${why} is not in ${pathInfos.name ?? "the store"}`);
  }
  if (parseHashPart(info.storePath) !== hashPart) {
    throw new StoreError("corrupt", `asked for store path ${storePath}, but got the path info of ${quote(info.storePath)}`);
  }
  // `checkReferenceNames` checks the names of references, once the whole closure is known.
  if (options.referrer === undefined && storePath !== hashPart && !info.storePath.endsWith(storePath)) {
    throw new StoreError(
      "not-found",
      `store path ${storePath} is not in ${pathInfos.name ?? "the store"}, but ${info.storePath} is`,
    );
  }
  return info;
}

/**
 * Returns the path infos of exactly `storePaths`, each once, in the given order.
 *
 * @throws StoreError like `closureOf`
 */
export async function pathInfosOf<T extends Referring>(
  pathInfos: ReferenceSource<T>,
  storePaths: readonly string[],
  options: ClosureOptions = {},
): Promise<T[]> {
  const wanted = new Map(storePaths.map((storePath) => [parseHashPart(storePath), { storePath, referrer: undefined }]));
  return getAll(pathInfos, [...wanted.values()], options);
}

async function getAll<T extends Referring>(
  pathInfos: ReferenceSource<T>,
  wanted: readonly Wanted[],
  { signal, onFailure }: ClosureOptions,
): Promise<T[]> {
  // The first failure aborts the other requests.
  const failed = new AbortController();
  const get = async ({ storePath, referrer }: Wanted): Promise<T[]> => {
    // Each request gets its own signal: Node warns if more than ten listeners share one.
    const ended = AbortSignal.any([failed.signal, ...(signal ? [signal] : [])]);
    try {
      return [await requirePathInfo(pathInfos, storePath, { signal: ended, referrer })];
    } catch (error) {
      if (ended.aborted || !onFailure || !isStoreError(error)) throw error;
      onFailure(storePath, error);
      return [];
    }
  };
  const getOrEnd = (wanted: Wanted): Promise<T[]> =>
    get(wanted).catch((reason: unknown) => {
      failed.abort(reason);
      throw reason;
    });
  const infos: T[] = [];
  for (let i = 0; i < wanted.length; i += CONCURRENCY) {
    for (const info of await allEnded(wanted.slice(i, i + CONCURRENCY).map(getOrEnd))) infos.push(...info);
  }
  return infos;
}

function checkReferenceNames(found: ReadonlyMap<string, Found<Referring>>): void {
  for (const { info } of found.values()) {
    for (const reference of info.references) {
      const target = found.get(parseHashPart(reference))?.info.storePath;
      if (target !== undefined && storePathBaseName(parseStorePath(target)) !== reference) {
        throw new StoreError("invalid", `store path ${info.storePath} refers to ${target} by the wrong name ${quote(reference)}`);
      }
    }
  }
}
