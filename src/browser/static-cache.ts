import { StoreError } from "../error.ts";
import { NARINFO_MAX_LENGTH, parseNarInfo } from "../nix/narinfo.ts";
import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { Store } from "./store.ts";

/** Paths in one `index.json`. A cache of files is meant for samples; for a closure there is `Store.pull`. */
const MAX_PATHS = 10_000;

/**
 * Imports all of a binary cache that is nothing but files: `index.json` names its NARInfo files, each after those that it refers to,
 * and the archives are plain or compressed. Paths that the store has already are not fetched. Signatures are kept and not asked for: this is
 * for what comes from the page's own site.
 *
 * @throws StoreError `unavailable` if the cache can't be read, `invalid` if it is no such cache
 */
export async function importStaticCache(store: Store, baseUrl: string | URL, options: OperationOptions = {}): Promise<PathInfo[]> {
  const { signal, onProgress } = options;
  const base = new URL(baseUrl, location.href);
  const names = await readIndex(new URL("index.json", base), signal);
  const imported: PathInfo[] = [];
  for (const [done, name] of names.entries()) {
    onProgress?.({ phase: "store paths", loaded: done, total: names.length });
    const narInfo = await (await get(new URL(name, base), signal)).text();
    if (narInfo.length > NARINFO_MAX_LENGTH) throw new StoreError("invalid", `${name} is too long for a NARInfo`);
    const { storePath, url } = parseNarInfo(narInfo);
    const known = await store.pathInfo(storePath);
    if (known) {
      imported.push(known);
      continue;
    }
    const nar = await get(new URL(url, base), signal);
    if (!nar.body) throw new StoreError("unavailable", `${url} has no content`);
    imported.push(await store.importNar(nar.body, { narInfo, ...(signal ? { signal } : {}) }));
  }
  onProgress?.({ phase: "store paths", loaded: names.length, total: names.length });
  return imported;
}

async function readIndex(url: URL, signal: AbortSignal | undefined): Promise<string[]> {
  let index: unknown;
  try {
    index = await (await get(url, signal)).json();
  } catch (cause) {
    if (cause instanceof StoreError || signal?.aborted) throw cause;
    throw new StoreError("invalid", `${url} is not JSON`, { cause });
  }
  const valid = Array.isArray(index) && index.length <= MAX_PATHS && index.every(isNarInfoName);
  if (!valid) throw new StoreError("invalid", `${url} is not a list of NARInfo files`);
  return index as string[];
}

function isNarInfoName(name: unknown): boolean {
  return typeof name === "string" && /^[0-9abcdfghijklmnpqrsvwxyz]{32}\.narinfo$/.test(name);
}

async function get(url: URL, signal: AbortSignal | undefined): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, signal ? { signal } : {});
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    throw new StoreError("unavailable", `${url} can't be fetched`, { cause });
  }
  if (!response.ok)
    throw new StoreError(response.status === 404 ? "not-found" : "unavailable", `${url}: status ${response.status}`);
  return response;
}
