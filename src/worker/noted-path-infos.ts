import type { DirectoryNode, FileNode } from "../castore/node.ts";
import { isStoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { decodePathInfo } from "../wire/stored-messages.ts";
import { BLOB, CHUNK, DIRECTORY, NONE, type ObjectKind } from "./object-table.ts";
import { pathInfosOf } from "./pack-trailer.ts";
import type { IndexRecord } from "./packed-index.ts";
import type { PackedStore } from "./packed-store.ts";
import { pathInfoRecords } from "./path-info-records.ts";

/**
 * The path infos in the trailers of packs. Garbage collection sees to it that each store path whose
 * content is in OPFS has its path info in a pack, also if version 2 stored the path, or if the pack
 * of the path info was removed because of its dead objects.
 */
export class NotedPathInfos {
  readonly #store: PackedStore;
  /** Hash parts of the path infos in each pack that has any. */
  readonly #noted: ReadonlyMap<IndexRecord, readonly string[]>;
  readonly #alive: ReadonlySet<string>;

  private constructor(store: PackedStore, noted: ReadonlyMap<IndexRecord, readonly string[]>, alive: ReadonlySet<string>) {
    this.#store = store;
    this.#noted = noted;
    this.#alive = alive;
  }

  /** Reads the path infos of all packs. Packs that can't be read count as packs without any. */
  static async read(store: PackedStore): Promise<NotedPathInfos> {
    const noted = new Map<IndexRecord, string[]>();
    for (const record of store.records) {
      if (!holdsPathInfos(record) || record.damaged) continue;
      const hashParts: string[] = [];
      for (const bytes of await encodedOf(store, record)) {
        const info = await decodePathInfo("a pack", bytes).catch(() => undefined);
        if (info) hashParts.push(parseHashPart(info.storePath));
      }
      if (hashParts.length > 0) noted.set(record, hashParts);
    }
    const alive = await store.database.read("pathInfos", (records) => records.getAllKeys());
    return new NotedPathInfos(store, noted, new Set(alive));
  }

  /** Whether a pack has no objects, and only path infos of deleted store paths. */
  isDead(record: IndexRecord): boolean {
    return record.count === 0 && (this.#noted.get(record)?.every((hashPart) => !this.#alive.has(hashPart)) ?? false);
  }

  /**
   * Yields the path infos that the next new pack needs: those that are in no pack, if their root is
   * in a pack that a repair can read. Without the root, the path info would be of no use.
   *
   * @param removed packs whose objects are written again, and whose path infos don't count
   * @returns `undefined` if there are none, or if new packs have no path infos
   */
  lacking(removed: ReadonlySet<IndexRecord>): AsyncIterable<PathInfo> | undefined {
    if (this.#store.storage !== "opfs") return undefined;
    const kept = new Set<string>();
    for (const [record, hashParts] of this.#noted) if (!removed.has(record)) for (const part of hashParts) kept.add(part);
    const { database, table } = this.#store;
    const survives = (record: IndexRecord): boolean => record.alive && (removed.has(record) || holdsPathInfos(record));
    const hasRoot = ({ node }: PathInfo): boolean =>
      node.kind === "symlink" ||
      node.size === 0n ||
      rootKinds(node).some((kind) => table.find(node.digest, kind, survives) !== NONE);
    const isLacking = (hashPart: string): boolean => this.#alive.has(hashPart) && !kept.has(hashPart);
    if (![...this.#alive].some(isLacking)) return undefined;
    return (async function* () {
      for await (const { hashPart, info } of pathInfoRecords(database))
        if (isLacking(hashPart) && isIntact(info) && hasRoot(info)) yield info;
    })();
  }
}

function rootKinds(node: DirectoryNode | FileNode): readonly ObjectKind[] {
  return node.kind === "directory" ? [DIRECTORY] : [CHUNK, BLOB];
}

/** Whether path infos can be in a pack: those of IndexedDB are lost with the database. */
function holdsPathInfos({ storage, trailer }: IndexRecord): boolean {
  return storage === "opfs" && trailer > 0;
}

async function encodedOf(store: PackedStore, record: IndexRecord): Promise<Uint8Array[]> {
  try {
    return await pathInfosOf(store.packStore(record), record);
  } catch (error) {
    if (!isStoreError(error, "corrupt") && !isStoreError(error, "unavailable")) throw error;
    return [];
  }
}

function isIntact(info: PathInfo): boolean {
  try {
    checkPathInfo(info);
    return true;
  } catch {
    return false;
  }
}
