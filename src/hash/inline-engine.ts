import { kernel } from "./blake3.ts";
import type { HashEngine, HashStream } from "./engine.ts";
import { createSyncHashStream, type HashAlgorithm } from "./hash-stream.ts";

/** Hashes in the calling thread: for Node, for tests, and inside a hash worker. */
export class InlineHashEngine implements HashEngine {
  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return kernel.blake3Many(blobs);
  }

  async stream(algorithm: HashAlgorithm): Promise<HashStream> {
    const stream = await createSyncHashStream(algorithm);
    return {
      update: async (bytes) => stream.update(bytes),
      digest: async () => stream.digest(),
      abort: () => stream.abort(),
    };
  }

  close(): void {}
}
