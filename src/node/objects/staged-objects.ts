import { toHex } from "../../bytes.ts";
import type { Digest } from "../../castore/digest.ts";

/**
 * Kind of an object, and the name of its directory in the object store. Chunks are written first,
 * so that a blob's entry never exists before its chunks.
 */
export type ObjectKind = "chunks" | "blobs";

/** Objects by their paths in the object store. */
export type Objects = ReadonlyMap<string, Uint8Array>;

export type ObjectBatch = Readonly<Record<ObjectKind, Objects>>;

/** Returns the path of an object, relative to the root of the object store. */
export function objectPath(kind: ObjectKind, digest: Digest): string {
  const hex = toHex(digest);
  return `${kind}/b3/${hex.slice(0, 4)}/${hex}`;
}

/**
 * Contents at which a batch is full. Twice as much may be in memory: one batch fills while another
 * one is written.
 */
const FULL_BYTES = 16 * 1024 * 1024;
const FULL_COUNT = 8192;

/** Objects that are only in memory. */
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

  /**
   * @param path path of an object that is not yet staged
   */
  add(kind: ObjectKind, path: string, bytes: Uint8Array): void {
    this[kind].set(path, bytes);
    this.#bytes += bytes.length;
  }

  get(path: string): Uint8Array | undefined {
    return this.chunks.get(path) ?? this.blobs.get(path);
  }
}
