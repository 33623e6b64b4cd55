import { blake3 } from "./blake3.ts";
import type { HashEngine, HashStream } from "./engine.ts";
import { type HashAlgorithm, SyncHashStream } from "./hash-stream.ts";

/** Hashes in the calling thread: for Node, for tests, and inside a hash worker. */
export class InlineHashEngine implements HashEngine {
  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return blobs.map(blake3);
  }

  async stream(algorithm: HashAlgorithm): Promise<HashStream> {
    const stream = await SyncHashStream.create(algorithm);
    return {
      update: async (bytes) => stream.update(bytes),
      digest: async () => stream.digest(),
      abort: () => stream.abort(),
    };
  }

  close(): void {}
}
