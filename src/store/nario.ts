import { allEnded } from "../all-ended.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { formatSri } from "../nix/hash.ts";
import { formatNarioInfo, NARIO_END, NARIO_PATH_START, type NarioInfo, NarioReader } from "../nix/nario.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import { requirePathInfo } from "./closure.ts";
import { checkContentAddress } from "./content-address-check.ts";
import { ingestNar } from "./import.ts";
import { type NarSizeAndHash, renderNar } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";
import { normalizePathInfo } from "./path-info-check.ts";
import { referencesFirst } from "./references-first.ts";
import type { StoreServices } from "./services.ts";

/** Path infos requested at a time. */
const CONCURRENCY = 16;

export interface ExportNarioOptions extends OperationOptions {
  readonly engine: HashEngine;
  /**
   * Whether to write signatures and content addresses, in a place that Nix skips; `true` by
   * default.
   */
  readonly notes?: boolean | undefined;
}

/**
 * Streams `infos` as a nario, which `nix-store --import` reads, dependencies first. Memory: only
 * the data in flight. Progress: `reading`, in bytes of the NARs.
 *
 * @throws StoreError `not-found` if content is missing; `corrupt` if content does not match its
 *   digest or its PathInfo
 */
export async function* exportNario(
  store: StoreServices,
  infos: Iterable<PathInfo>,
  { engine, notes, signal, onProgress }: ExportNarioOptions,
): AsyncGenerator<Uint8Array> {
  const ordered = referencesFirst(infos);
  const total = ordered.reduce((sum, { narSize }) => sum + narSize, 0);
  let loaded = 0;
  for (const info of ordered) {
    signal?.throwIfAborted();
    yield NARIO_PATH_START;
    const hash = await engine.stream("sha256");
    let isRead = false;
    try {
      for await (const bytes of iterate(renderNar(store, info.node, { signal }), signal)) {
        await hash.update(bytes);
        yield bytes;
        loaded += bytes.length;
        onProgress?.({ phase: "reading", unit: "bytes", loaded, total });
      }
      isRead = true;
    } finally {
      if (!isRead) hash.abort();
    }
    const narHash = formatSri({ algorithm: "sha256", digest: await hash.digest() });
    if (narHash !== info.narHash)
      throw new StoreError("corrupt", `the NAR of ${info.storePath} has the hash ${narHash} instead of ${info.narHash}`);
    yield formatNarioInfo(info, { notes });
  }
  yield NARIO_END;
}

/**
 * Imports the store paths of an uncompressed nario, and yields each one once it is in the store. A
 * path becomes visible when its content is complete, after its dependencies. If the nario states a
 * content address, it is checked. Signatures are stored, but not checked. If the import fails, the
 * paths yielded before stay. Progress: `reading`, in bytes of the nario.
 *
 * @throws StoreError `invalid` if the source is not a nario; `not-found` if a path refers to one
 *   that is neither earlier in the nario nor in the store; `corrupt` if content does not match its
 *   content address; `conflict` if the store has a path with other content
 */
export async function* importNario(
  store: StoreServices,
  engine: HashEngine,
  source: AsyncIterable<Uint8Array>,
  options: OperationOptions = {},
): AsyncGenerator<PathInfo> {
  const { signal } = options;
  const reader = new NarioReader(counted(source, options));
  const there = new Set<string>();
  try {
    for (let nar = await reader.next(); nar; nar = await reader.next()) {
      const { node, ...read } = await ingestNar(store, engine, nar, { signal });
      const said = await reader.info();
      const info = normalizePathInfo({ ...said, ...read, node });
      await checkReferences(store, info, there, signal);
      await checkContentAddress(store, engine, info, { signal });
      yield await store.pathInfos.put(info, { signal });
      there.add(parseHashPart(info.storePath));
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await reader.close();
  }
}

/**
 * Lists the store paths of a nario without storing content. NARs are hashed as they pass. Progress:
 * `reading`, in bytes of the nario.
 */
export async function* listNario(
  engine: HashEngine,
  source: AsyncIterable<Uint8Array>,
  options: OperationOptions = {},
): AsyncGenerator<NarioInfo & NarSizeAndHash> {
  const reader = new NarioReader(counted(source, options));
  try {
    for (let nar = await reader.next(); nar; nar = await reader.next()) {
      const hash = await engine.stream("sha256");
      let narSize = 0;
      let isRead = false;
      try {
        for await (const bytes of nar) {
          await hash.update(bytes);
          narSize += bytes.length;
        }
        isRead = true;
      } finally {
        if (!isRead) hash.abort();
      }
      const narHash = formatSri({ algorithm: "sha256", digest: await hash.digest() });
      yield { ...(await reader.info()), narSize, narHash };
    }
  } finally {
    await reader.close();
  }
}

/**
 * Checks that every reference is in the store.
 *
 * @param there hash parts of paths known to be in the store; this function adds those that it finds
 */
async function checkReferences(
  store: StoreServices,
  { storePath, references }: PathInfo,
  there: Set<string>,
  signal: AbortSignal | undefined,
): Promise<void> {
  const self = parseHashPart(storePath);
  const unknown = references.filter((reference) => {
    const hashPart = parseHashPart(reference);
    return hashPart !== self && !there.has(hashPart);
  });
  for (let i = 0; i < unknown.length; i += CONCURRENCY) {
    const some = unknown.slice(i, i + CONCURRENCY);
    await allEnded(some.map((reference) => requirePathInfo(store.pathInfos, reference, { signal, referrer: storePath })));
    for (const reference of some) there.add(parseHashPart(reference));
  }
}

async function* counted(source: AsyncIterable<Uint8Array>, { signal, onProgress }: OperationOptions): AsyncGenerator<Uint8Array> {
  let loaded = 0;
  for await (const bytes of source) {
    signal?.throwIfAborted();
    loaded += bytes.length;
    yield bytes;
    onProgress?.({ phase: "reading", unit: "bytes", loaded });
  }
}
