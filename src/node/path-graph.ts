import { StoreError } from "../error.ts";
import { formatSri, parseHash } from "../nix/hash.ts";
import { formatStorePath, parseStorePath } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";

/** What Nix's JSON says of a store path. Texts may be in any form in which Nix writes them, but for `storePath` and `narHash`. */
export type PathGraphEntry = Omit<PathInfo, "node">;

/** No closure comes near. */
const MAX_PATHS = 250_000;

type JsonObject = { readonly [key: string]: unknown };

/**
 * Reads the JSON of `nix path-info --json`, in its form as an array and in that as an object by path, or of `exportReferencesGraph`
 * with structured attributes: an array, or an object that holds such arrays.
 *
 * @returns each path once, after those that it refers to
 * @throws StoreError `invalid`
 */
export function parsePathGraph(text: string): PathGraphEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new StoreError("invalid", "the path infos are not JSON", { cause: error });
  }
  const found = new Map<string, PathGraphEntry>();
  for (const [path, value] of pathValues(json)) {
    const entry = readEntry(path, value);
    const same = found.get(entry.storePath);
    if (same && same.narHash !== entry.narHash) {
      throw new StoreError("invalid", `${entry.storePath} is in the JSON twice, with different NAR hashes`);
    }
    found.set(entry.storePath, entry);
    if (found.size > MAX_PATHS) throw new StoreError("invalid", `the JSON has more than ${MAX_PATHS} store paths`);
  }
  if (found.size === 0) throw new StoreError("invalid", "the JSON has no path infos");
  return referencesFirst(found);
}

function* pathValues(json: unknown): Generator<[path: unknown, value: unknown]> {
  if (Array.isArray(json)) {
    for (const value of json) yield [isObject(value) ? value.path : undefined, value];
    return;
  }
  if (!isObject(json)) return;
  // Newer forms of `nix path-info` have a frame with a version around them.
  const infos = isObject(json.info) ? json.info : json;
  for (const [key, value] of Object.entries(infos)) {
    if (isStorePath(key)) yield [key, value];
    // Among the structured attributes of a derivation there are other arrays.
    else if (Array.isArray(value) && value.every((item) => isObject(item) && "path" in item && "narHash" in item)) {
      yield* pathValues(value);
    }
  }
}

function readEntry(path: unknown, value: unknown): PathGraphEntry {
  if (typeof path !== "string") throw new StoreError("invalid", "the JSON has a path info without a path");
  const storePath = formatStorePath(parseStorePath(path));
  const wrong = (key: string) => new StoreError("invalid", `${storePath} has no proper ${key} in the JSON`);
  if (!isObject(value) || value.valid === false)
    throw new StoreError("invalid", `the JSON says that ${storePath} is not in the Nix store`);
  const texts = (key: string): string[] => {
    const list = value[key] ?? [];
    if (!Array.isArray(list)) throw wrong(key);
    return list.map((item: unknown) => {
      if (typeof item !== "string") throw wrong(key);
      return item;
    });
  };
  const text = (key: string): string | undefined => {
    const item = value[key] ?? "";
    if (typeof item !== "string") throw wrong(key);
    return item === "" ? undefined : item;
  };
  const { narSize } = value;
  if (typeof narSize !== "number" || !Number.isSafeInteger(narSize) || narSize < 0) throw wrong("narSize");
  const narHash = text("narHash");
  if (narHash === undefined) throw wrong("narHash");
  return {
    storePath,
    narHash: formatSri(parseHash(narHash)),
    narSize,
    references: texts("references"),
    deriver: text("deriver"),
    ca: text("ca"),
    signatures: texts("signatures"),
  };
}

/** Depth first, with a stack of its own. References to what the JSON does not have are left alone. */
function referencesFirst(found: ReadonlyMap<string, PathGraphEntry>): PathGraphEntry[] {
  const order: PathGraphEntry[] = [];
  const state = new Map<PathGraphEntry, "open" | "done">();
  const stack: { entry: PathGraphEntry; next: number }[] = [];
  const enter = (entry: PathGraphEntry): void => {
    if (state.get(entry) === "done") return;
    if (state.get(entry) === "open")
      throw new StoreError("invalid", `${entry.storePath} refers to itself by way of other store paths`);
    state.set(entry, "open");
    stack.push({ entry, next: 0 });
  };
  for (const root of found.values()) {
    enter(root);
    for (let top = stack.at(-1); top; top = stack.at(-1)) {
      const reference = top.entry.references[top.next++];
      if (reference !== undefined) {
        const target = found.get(formatStorePath(parseStorePath(reference)));
        if (target && target !== top.entry) enter(target);
      } else {
        stack.pop();
        state.set(top.entry, "done");
        order.push(top.entry);
      }
    }
  }
  return order;
}

function isStorePath(text: string): boolean {
  try {
    parseStorePath(text);
    return true;
  } catch {
    return false;
  }
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
