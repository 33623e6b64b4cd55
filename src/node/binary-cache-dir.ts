import { createReadStream } from "node:fs";
import { access, readdir } from "node:fs/promises";
import { join, normalize } from "node:path";
import { decompressedAs } from "../compression/decompress.ts";
import { dependenciesFirst } from "../depth-first.ts";
import { isStoreError, StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { NARINFO_MAX_LENGTH, type NarInfo, parseNarInfo } from "../nix/narinfo.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { importNar } from "../store/import.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { StoreServices } from "../store/services.ts";
import { fileError } from "./file-error.ts";
import { pathPieces, readText } from "./input-file.ts";

const FILE_NAME = /^[0-9abcdfghijklmnpqrsvwxyz]{32}\.narinfo$/;

/** Maximum size of `index.json`, in bytes. Some million names fit. */
const MAX_INDEX = 64 * 1024 * 1024;

/** Size of the pieces in which a NAR file is read, in bytes. */
const PIECE = 256 * 1024;

/**
 * Imports every store path of a binary cache on disk, as `nix copy --to file://DIR` writes it.
 * Skips paths that the store has. Yields each path info once it is imported, dependencies first.
 *
 * If the cache has an `index.json` (an array of the names of NARInfo files), its order is used.
 *
 * @param options.storeDir store directory of the cache's paths; `/nix/store` by default
 * @throws StoreError as `importNar`; `not-found`, `denied` or `unavailable` if a file can't be
 *   read; the message names the file
 */
export async function* importBinaryCacheDir(
  store: StoreServices,
  engine: HashEngine,
  dir: string,
  options: { signal?: AbortSignal | undefined; storeDir?: string | undefined } = {},
): AsyncGenerator<PathInfo> {
  for (const { text, info } of await readNarInfos(dir, options.storeDir)) {
    options.signal?.throwIfAborted();
    if (await store.pathInfos.get(parseHashPart(info.storePath, options.storeDir), { signal: options.signal })) continue;
    yield await importNar(store, engine, await openNar(dir, info, options.signal), { narInfo: text, ...options });
  }
}

interface NarInfoFile {
  readonly text: string;
  readonly info: NarInfo;
}

async function readNarInfos(dir: string, storeDir: string | undefined): Promise<NarInfoFile[]> {
  const index = await readIndex(dir);
  const files: NarInfoFile[] = [];
  for (const name of index ?? (await listNarInfos(dir))) {
    const text = await readTextFile(join(dir, name), NARINFO_MAX_LENGTH);
    files.push({ text, info: parseNarInfo(text, storeDir) });
  }
  return index ? files : filesInOrder(files, storeDir);
}

async function readIndex(dir: string): Promise<string[] | undefined> {
  const path = join(dir, "index.json");
  let text: string;
  try {
    text = await readTextFile(path, MAX_INDEX);
  } catch (error) {
    if (isStoreError(error, "not-found")) return undefined;
    throw error;
  }
  const wrong = (cause?: unknown) => new StoreError("invalid", `${path} is not a list of NARInfo files`, { cause });
  let names: unknown;
  try {
    names = JSON.parse(text);
  } catch (error) {
    throw wrong(error);
  }
  if (!Array.isArray(names)) throw wrong();
  return names.map((name: unknown) => {
    if (typeof name !== "string" || !FILE_NAME.test(name)) throw wrong();
    return name;
  });
}

async function listNarInfos(dir: string): Promise<string[]> {
  try {
    return (await readdir(dir)).filter((name) => FILE_NAME.test(name)).sort();
  } catch (error) {
    throw fileError(error, `can't list the binary cache ${dir}`);
  }
}

function filesInOrder(files: readonly NarInfoFile[], storeDir: string | undefined): NarInfoFile[] {
  const byHashPart = new Map(files.map((file) => [parseHashPart(file.info.storePath, storeDir), file]));
  return dependenciesFirst(files, ({ info }) =>
    info.references.flatMap((reference) => byHashPart.get(parseHashPart(reference)) ?? []),
  );
}

async function openNar(dir: string, info: NarInfo, signal: AbortSignal | undefined): Promise<AsyncIterable<Uint8Array>> {
  const relative = normalize(info.url);
  if (relative.startsWith("/") || relative.startsWith("..") || /^[a-z]+:/i.test(info.url)) {
    throw new StoreError("invalid", `the NAR of ${info.storePath} is at ${info.url}, which is outside the binary cache`);
  }
  const path = join(dir, relative);
  try {
    await access(path);
  } catch (error) {
    throw fileError(error, `can't read the NAR of ${info.storePath}`);
  }
  const pieces = pathPieces(path, { pieceSize: PIECE });
  // If Compression is missing or empty, Nix assumes bzip2.
  return decompressedAs(pieces, info.compression || "bzip2", signal);
}

function readTextFile(path: string, maxLength: number): Promise<string> {
  return readText(createReadStream(path), path, maxLength);
}
