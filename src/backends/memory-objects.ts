import {
  checkObjectKey,
  type GetObjectOptions,
  type ObjectGroup,
  type ObjectInfo,
  type ObjectStore,
  type ObjectStoreOptions,
  type PutObjectOptions,
  partOfObject,
} from "../castore/object-store.ts";

/** An ObjectStore that lives as long as the process. */
export class MemoryObjectStore implements ObjectStore {
  /** The objects. Public, so that tests can damage them. */
  readonly objects = new Map<string, Uint8Array>();

  async get(key: string, options: GetObjectOptions): Promise<Uint8Array | undefined> {
    options.signal?.throwIfAborted();
    checkObjectKey(key);
    const bytes = this.objects.get(key);
    if (!bytes) return undefined;
    const { offset, length } = partOfObject(key, bytes.length, options);
    return bytes.slice(offset, offset + length);
  }

  async has(key: string, options: ObjectStoreOptions = {}): Promise<boolean> {
    options.signal?.throwIfAborted();
    checkObjectKey(key);
    return this.objects.has(key);
  }

  async put(key: string, bytes: Uint8Array, { ifAbsent = false, signal }: PutObjectOptions = {}): Promise<boolean> {
    signal?.throwIfAborted();
    checkObjectKey(key);
    if (ifAbsent && this.objects.has(key)) return false;
    this.objects.set(key, bytes);
    return true;
  }

  async putMany(groups: readonly ObjectGroup[], options: ObjectStoreOptions = {}): Promise<void> {
    options.signal?.throwIfAborted();
    for (const group of groups) for (const key of group.keys()) checkObjectKey(key);
    for (const group of groups) for (const [key, bytes] of group) this.objects.set(key, bytes);
  }

  async *list(prefix: string, options: ObjectStoreOptions = {}): AsyncGenerator<ObjectInfo> {
    options.signal?.throwIfAborted();
    for (const key of [...this.objects.keys()].sort()) {
      options.signal?.throwIfAborted();
      const bytes = this.objects.get(key);
      if (bytes && key.startsWith(prefix)) yield { key, size: bytes.length };
    }
  }
}
