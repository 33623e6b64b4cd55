import { allEnded } from "../all-ended.ts";
import { quote } from "../bytes.ts";
import { isStoreError, StoreError } from "../error.ts";
import { parseHashPart, parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";

/** How many are asked for at a time: enough to hide a remote's latency, few enough for a page's connections. */
const CONCURRENCY = 16;

/** No real closure comes near; a hostile remote could otherwise go on naming new references for ever. */
const MAX_CLOSURE = 250_000;

/** What a closure is followed by: a PathInfo, or a NARInfo whose content is not here yet. */
export type Referring = Pick<PathInfo, "storePath" | "references">;

/** A PathInfoService, or another service that knows references. */
export interface ReferenceSource<T extends Referring> {
  /** For messages; "the store" by default. */
  readonly name?: string | undefined;
  /** `undefined` if it is missing. */
  get(hashPart: string, options?: { signal?: AbortSignal | undefined }): Promise<T | undefined>;
}

interface Found<T> {
  readonly info: T;
  /** Hash parts, itself left out. */
  readonly references: readonly string[];
}

interface Wanted {
  /** As it was referred to. */
  readonly storePath: string;
  readonly referrer: string | undefined;
}

export interface ClosureOptions {
  signal?: AbortSignal | undefined;
  /**
   * Called for a path that can't be had, which is left out then. It may throw to end the walk. By
   * default the first such path does.
   *
   * @param storePath as it was referred to: an absolute path, a base name or a hash part
   */
  onFailure?: ((storePath: string, error: StoreError) => void) | undefined;
}

/**
 * What `roots` (absolute paths, base names or hash parts) refer to, directly or not, and they themselves; each once, references
 * before what refers to them. It rejects when all that it asked for has ended.
 *
 * @throws StoreError `not-found` if a path is missing, which names it and what refers to it; `invalid` if paths refer to one another
 *   in a circle (a path may refer to itself), or by another name than the path has; `corrupt` if the service answers another path
 *   than it was asked for.
 */
export async function closureOf<T extends Referring>(
  pathInfos: ReferenceSource<T>,
  roots: readonly string[],
  options: ClosureOptions = {},
): Promise<T[]> {
  const found = new Map<string, Found<T>>();
  /** Hash parts that were asked for, with and without success. */
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
  return referencesFirst(found, start);
}

/** The path info of one store path, which must be there and be the one that was asked for. */
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
    throw new StoreError("corrupt", `asked for store path ${storePath}, got the path info of ${quote(info.storePath)}`);
  }
  // A reference's name is checked with the whole closure.
  if (options.referrer === undefined && storePath !== hashPart && !info.storePath.endsWith(storePath)) {
    throw new StoreError(
      "not-found",
      `store path ${storePath} is not in ${pathInfos.name ?? "the store"}, but ${info.storePath} is`,
    );
  }
  return info;
}

/**
 * The path infos of `storePaths` alone, each once, in their order.
 *
 * @throws StoreError as `closureOf`
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
  // A failure ends the questions beside it.
  const failed = new AbortController();
  const get = async ({ storePath, referrer }: Wanted): Promise<T[]> => {
    // One for each, since Node warns of a signal that more than ten listen to.
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
        throw new StoreError("invalid", `store path ${info.storePath} refers to ${target} by the name ${quote(reference)}`);
      }
    }
  }
}

/** Depth first, with a stack of its own: chains of references are as long as a remote likes. */
function referencesFirst<T extends Referring>(found: ReadonlyMap<string, Found<T>>, start: readonly string[]): T[] {
  const order: T[] = [];
  const done = new Set<string>();
  const open = new Set<string>();
  const stack: { hashPart: string; next: number }[] = [];
  const enter = (hashPart: string): void => {
    if (done.has(hashPart)) return;
    if (open.has(hashPart)) {
      throw new StoreError(
        "invalid",
        `store path ${found.get(hashPart)?.info.storePath} refers to itself by way of other store paths`,
      );
    }
    open.add(hashPart);
    stack.push({ hashPart, next: 0 });
  };
  for (const root of start) {
    if (found.has(root)) enter(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const { info, references } = found.get(top.hashPart) as Found<T>;
      const reference = references[top.next++];
      if (reference !== undefined) {
        // One that can't be had has no place in the order.
        if (found.has(reference)) enter(reference);
      } else {
        stack.pop();
        open.delete(top.hashPart);
        done.add(top.hashPart);
        order.push(info);
      }
    }
  }
  return order;
}
