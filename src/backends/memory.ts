import type { BlobEntry, ChunkStore, StoredBlob, StoredChunk } from "../castore/chunk-store.ts";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { type Digest, digestKey } from "../castore/digest.ts";
import { type DirectoryStore, StoredDirectoryService } from "../castore/directory-store.ts";
import type { HashEngine } from "../hash/engine.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { mergePathInfo } from "../store/path-info-merge.ts";
import type { LocalPathInfoService } from "../store/path-info-service.ts";
import type { LocalStoreServices } from "../store/services.ts";

/** Creates a store that lives as long as the process. */
export function createMemoryStore(engine: HashEngine = new InlineHashEngine()): LocalStoreServices {
  return {
    blobs: new ChunkedBlobService(new MemoryChunkStore(), engine),
    directories: new StoredDirectoryService(new MemoryDirectoryStore()),
    pathInfos: new MemoryPathInfoService(),
  };
}

/** Keeps blobs and chunks in maps. The maps are public, so that tests can damage the content. */
export class MemoryChunkStore implements ChunkStore {
  readonly blobs = new Map<string, BlobEntry>();
  readonly chunks = new Map<string, Uint8Array>();

  async getBlobs(blobs: readonly Digest[]): Promise<(BlobEntry | undefined)[]> {
    return blobs.map((digest) => this.blobs.get(digestKey(digest)));
  }

  async hasChunks(chunks: readonly Digest[]): Promise<boolean[]> {
    return chunks.map((digest) => this.chunks.has(digestKey(digest)));
  }

  async getChunks(chunks: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return chunks.map((digest) => this.chunks.get(digestKey(digest))?.slice());
  }

  async put(chunks: readonly StoredChunk[], blobs: readonly StoredBlob[]): Promise<void> {
    for (const { digest, bytes } of chunks) this.chunks.set(digestKey(digest), bytes.slice());
    for (const { digest, chunks: list, bao } of blobs) this.blobs.set(digestKey(digest), { chunks: [...list], bao: bao?.slice() });
  }
}

export class MemoryDirectoryStore implements DirectoryStore {
  readonly directories = new Map<string, Uint8Array>();

  async getMany(digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]> {
    return digests.map((digest) => this.directories.get(digestKey(digest)));
  }

  async putMany(directories: readonly { digest: Digest; bytes: Uint8Array }[]): Promise<void> {
    for (const { digest, bytes } of directories) this.directories.set(digestKey(digest), bytes);
  }
}

export class MemoryPathInfoService implements LocalPathInfoService {
  #infos = new Map<string, PathInfo>();

  async get(hashPart: string): Promise<PathInfo | undefined> {
    return this.#infos.get(hashPart);
  }

  async put(info: PathInfo): Promise<PathInfo> {
    checkPathInfo(info);
    const hashPart = parseHashPart(info.storePath);
    const merged = mergePathInfo(info, this.#infos.get(hashPart));
    this.#infos.set(hashPart, merged);
    return merged;
  }

  async *list(): AsyncGenerator<PathInfo> {
    for (const hashPart of [...this.#infos.keys()].sort()) {
      const info = this.#infos.get(hashPart);
      if (info) yield info;
    }
  }

  async delete(hashPart: string): Promise<boolean> {
    return this.#infos.delete(hashPart);
  }
}
