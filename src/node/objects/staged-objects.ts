import { toHex } from "../../bytes.ts";
import type { Digest } from "../../castore/digest.ts";

/** Of each kind is a directory in the object store. Chunks come first: a blob's entry is never there before its chunks. */
export type ObjectKind = "chunks" | "blobs";

/** Objects by their paths in the object store. */
export type Objects = ReadonlyMap<string, Uint8Array>;

export type ObjectBatch = Readonly<Record<ObjectKind, Objects>>;

/** Relative to the object store. */
export function objectPath(kind: ObjectKind, digest: Digest): string {
  const hex = toHex(digest);
  return `${kind}/b3/${hex.slice(0, 4)}/${hex}`;
}

/** What is written together, at most. Twice as much may be in memory, while one half is on its way. */
const FULL_BYTES = 16 * 1024 * 1024;
const FULL_COUNT = 8192;

/** Objects that are in memory only. */
export class StagedObjects implements ObjectBatch {
  readonly chunks: Map<string, Uint8Array>;
  readonly blobs: Map<string, Uint8Array>;
  #bytes: number;

  constructor(earlier?: StagedObjects, later?: StagedObjects) {
    this.chunks = new Map([...(earlier?.chunks ?? []), ...(later?.chunks ?? [])]);
    this.blobs = new Map([...(earlier?.blobs ?? []), ...(later?.blobs ?? [])]);
    this.#bytes = (earlier?.bytes ?? 0) + (later?.bytes ?? 0);
  }

  get bytes(): number {
    return this.#bytes;
  }

  get count(): number {
    return this.chunks.size + this.blobs.size;
  }

  get isFull(): boolean {
    return this.bytes >= FULL_BYTES || this.count >= FULL_COUNT;
  }

  /** @param path none that is there */
  add(kind: ObjectKind, path: string, bytes: Uint8Array): void {
    this[kind].set(path, bytes);
    this.#bytes += bytes.length;
  }

  get(path: string): Uint8Array | undefined {
    return this.chunks.get(path) ?? this.blobs.get(path);
  }
}
