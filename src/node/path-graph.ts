import { dependenciesFirst } from "../depth-first.ts";
import { StoreError } from "../error.ts";
import { CONTENT_ADDRESS_METHODS, canHash, formatContentAddress } from "../nix/content-address.ts";
import { withoutByteOrderMark } from "../nix/exact-json.ts";
import { decodeDigest, formatSri, isHashAlgorithm, type NixHash, parseHash } from "../nix/hash.ts";
import { formatSignature, readSignature, usableSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath, STORE_DIR } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";

/**
 * Information about a store path in Nix's JSON. `storePath` and `narHash` are normalized. The other
 * texts can have any form that Nix writes.
 */
export type PathGraphEntry = Omit<PathInfo, "node">;

/** Maximum number of paths. No real closure comes near. */
const MAX_PATHS = 250_000;

type JsonObject = { readonly [key: string]: unknown };

/**
 * Parses the JSON of `nix path-info --json` in each format that Nix has written: an array, an
 * object by path, and the versions 1 to 3. Also parses `exportReferencesGraph` with structured
 * attributes: an array, or an object that holds such arrays.
 *
 * @returns each path once, dependencies first
 * @throws StoreError `invalid` if the JSON has another form, or if its references have a cycle
 */
export function parsePathGraph(text: string): PathGraphEntry[] {
  let json: unknown;
  try {
    json = JSON.parse(withoutByteOrderMark(text));
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
  return dependenciesFirst(
    found.values(),
    (entry) =>
      entry.references.flatMap((reference) => {
        // The JSON may lack a dependency, and a path may refer to itself.
        const target = found.get(formatStorePath(parseStorePath(reference)));
        return target && target !== entry ? [target] : [];
      }),
    (entry) => {
      throw new StoreError("invalid", `${entry.storePath} refers to itself through other store paths`);
    },
  );
}

function* pathValues(json: unknown): Generator<[path: unknown, value: unknown]> {
  if (Array.isArray(json)) {
    for (const value of json) yield [isObject(value) ? value.path : undefined, value];
    return;
  }
  if (!isObject(json)) return;
  // Formats 2 and 3 wrap the path infos in an object with `info` and a numeric `version`. A
  // derivation's structured attributes have no numeric `version`.
  const isFrame = isObject(json.info) && typeof json.version === "number";
  if (isFrame) checkVersion(json);
  const infos = isFrame && isObject(json.info) ? json.info : json;
  for (const [key, value] of Object.entries(infos)) {
    if (isStorePath(key)) yield [key, value];
    // The structured attributes of a derivation can include other arrays.
    else if (Array.isArray(value) && value.every(isPathInfo)) {
      yield* pathValues(value);
    }
  }
}

function isPathInfo(item: unknown): boolean {
  return isObject(item) && "path" in item && ("narHash" in item || item.valid === false);
}

/**
 * Checks the version and store directory of a wrapper object, or of a path info by Nix 2.33 or
 * later, which repeats both.
 */
function checkVersion({ version = 1, storeDir = STORE_DIR }: JsonObject): void {
  if (version !== 1 && version !== 2 && version !== 3)
    throw new StoreError(
      "invalid",
      `the JSON has the format ${JSON.stringify(version)}, which is unknown: only 1, 2 and 3 are supported`,
    );
  if (storeDir !== STORE_DIR)
    throw new StoreError("invalid", `the JSON is for the store ${JSON.stringify(storeDir)}, not for ${STORE_DIR}`);
}

function readEntry(path: unknown, value: unknown): PathGraphEntry {
  if (typeof path !== "string") throw new StoreError("invalid", "the JSON has a path info without a store path");
  const storePath = formatStorePath(parseStorePath(path));
  // Nix up to 2.18 says `valid`, later versions write null.
  if (value === null || (isObject(value) && value.valid === false))
    throw new StoreError(
      "invalid",
      `the JSON says that ${storePath} is missing from the Nix store; build or fetch it there, or leave it out`,
    );
  if (!isObject(value)) throw new StoreError("invalid", `the path info of ${storePath} is not an object in the JSON`);
  checkVersion(value);
  const field = <T>(key: string, read: (item: unknown) => T): T => {
    try {
      return read(value[key]);
    } catch (cause) {
      throw new StoreError("invalid", `${storePath} has no valid ${key} in the JSON`, { cause });
    }
  };
  return {
    storePath,
    narHash: field("narHash", readNarHash),
    narSize: field("narSize", readSize),
    references: field("references", (item) => readList(item, readText)),
    deriver: field("deriver", readOptionalText),
    ca: field("ca", readContentAddress),
    signatures: field("signatures", (item) => readList(item, readKnownSignature).filter((text) => text !== undefined)),
  };
}

function readText(item: unknown): string {
  if (typeof item !== "string") throw new StoreError("invalid", "not a string");
  return item;
}

/** Reads a text. Returns `undefined` if the field is missing, `null` or empty. */
function readOptionalText(item: unknown): string | undefined {
  return readText(item ?? "") || undefined;
}

function readSize(item: unknown): number {
  if (typeof item !== "number" || !Number.isSafeInteger(item) || item < 0) throw new StoreError("invalid", "not a size");
  return item;
}

function readList<T>(item: unknown, read: (item: unknown) => T): T[] {
  const list: unknown = item ?? [];
  if (!Array.isArray(list)) throw new StoreError("invalid", "not a list");
  return list.map(read);
}

/**
 * Reads a hash: a text, or an object, as development versions of Nix 2.33 wrote it. Returns
 * `undefined` for an unknown hash algorithm.
 */
function readHash(item: unknown): NixHash | undefined {
  if (!isObject(item)) {
    const text = readText(item);
    const [algorithm] = text.split(/[-:]/, 1);
    return isHashAlgorithm(algorithm as string) ? parseHash(text) : undefined;
  }
  const algorithm = readText(item.algorithm);
  return isHashAlgorithm(algorithm) ? { algorithm, digest: decodeDigest(algorithm, readText(item.hash)) } : undefined;
}

function readNarHash(item: unknown): string {
  const hash = readHash(item);
  if (!hash) throw new StoreError("invalid", "an unknown hash algorithm");
  return formatSri(hash);
}

/**
 * Reads a content address. Returns `undefined` for an unknown method or algorithm. Doesn't change a
 * text.
 */
function readContentAddress(item: unknown): string | undefined {
  if (!isObject(item)) return readOptionalText(item);
  const method = CONTENT_ADDRESS_METHODS.find((method) => method === item.method);
  const hash = readHash(item.hash);
  return method && hash && canHash(method, hash.algorithm) ? formatContentAddress({ method, hash }) : undefined;
}

/** Returns `undefined` for a signature that no key can have made. Nix keeps and prints these. */
function readKnownSignature(item: unknown): string | undefined {
  const signature = isObject(item) ? usableSignature(readText(item.keyName), readText(item.sig)) : readSignature(readText(item));
  return signature && formatSignature(signature);
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
