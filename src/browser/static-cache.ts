import { isStoreError, StoreError } from "../error.ts";
import { NARINFO_MAX_LENGTH, parseNarInfo } from "../nix/narinfo.ts";
import type { OperationOptions } from "../progress.ts";
import { CacheFiles } from "../store/cache-files.ts";
import type { PathInfo } from "../store/path-info.ts";
import { streamOf } from "../stream.ts";
import type { Store } from "./store.ts";

/**
 * Maximum number of store paths in `index.json`. A cache of static files is meant for samples; use
 * `Store.pull` for a larger closure.
 */
const MAX_PATHS = 10_000;

/** Maximum size of `index.json`, in bytes. */
const MAX_INDEX = 1024 * 1024;

/**
 * Imports a whole binary cache that consists of static files. `index.json` lists the cache's
 * NARInfo files, dependencies first. NARs are plain or compressed. Store paths that the store
 * already has are not fetched. Signatures are stored, but not required, because the function is
 * meant for the page's own site. Requests are retried after temporary failures.
 *
 * @throws StoreError `not-found` if a file is missing; `unavailable` if the cache can't be read;
 *   `invalid` if `index.json` or a NARInfo file is malformed or too large
 */
export async function importStaticCache(store: Store, baseUrl: string | URL, options: OperationOptions = {}): Promise<PathInfo[]> {
  const { signal, onProgress } = options;
  const base = new URL(baseUrl, location.href);
  const files = new CacheFiles();
  const readText = async (name: string, maxLength: number): Promise<string> => {
    const { href } = new URL(name, base);
    const text = await files.text(href, maxLength, { signal });
    if (text === undefined) throw new StoreError("not-found", `${href} does not exist`);
    return text;
  };
  const names = parseIndex(await readText("index.json", MAX_INDEX), base);
  const imported: PathInfo[] = [];
  for (const [done, name] of names.entries()) {
    onProgress?.({ phase: "store paths", unit: "paths", loaded: done, total: names.length });
    const narInfo = await readText(name, NARINFO_MAX_LENGTH);
    const { storePath, url, fileSize } = parseNarInfo(narInfo);
    const known = await store.pathInfo(storePath);
    if (known) {
      imported.push(known);
      continue;
    }
    const nar = streamOf(files.stream(new URL(url, base).href, { signal, size: fileSize }));
    imported.push(await store.importNar(nar, { narInfo, ...(signal ? { signal } : {}) }));
  }
  onProgress?.({ phase: "store paths", unit: "paths", loaded: names.length, total: names.length });
  return imported;
}

function parseIndex(text: string, base: URL): string[] {
  const wrong = (cause?: unknown): StoreError =>
    new StoreError("invalid", `index.json at ${base} is not a list of NARInfo files`, { cause });
  try {
    const names: unknown = JSON.parse(text);
    if (!Array.isArray(names) || names.length > MAX_PATHS) throw wrong();
    return names.map((name: unknown) => {
      if (typeof name !== "string" || !/^[0-9abcdfghijklmnpqrsvwxyz]{32}\.narinfo$/.test(name)) throw wrong();
      return name;
    });
  } catch (error) {
    throw isStoreError(error) ? error : wrong(error);
  }
}
