import { createHash } from "node:crypto";
import { blake3 } from "../hash/blake3.ts";
import type { HashEngine, HashStream } from "../hash/engine.ts";
import { createSyncHashStream, type HashAlgorithm } from "../hash/hash-stream.ts";

/** Hashes in the calling thread, with Node's own SHA and MD5, which are native; BLAKE3 is WebAssembly, as in a page. */
export class NodeHashEngine implements HashEngine {
  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    return blobs.map(blake3);
  }

  async stream(algorithm: HashAlgorithm): Promise<HashStream> {
    if (algorithm === "blake3") {
      const stream = await createSyncHashStream(algorithm);
      return {
        update: async (bytes) => stream.update(bytes),
        digest: async () => stream.digest(),
        abort: () => stream.abort(),
      };
    }
    const hash = createHash(algorithm);
    return {
      update: async (bytes) => {
        hash.update(bytes);
      },
      digest: async () => new Uint8Array(hash.digest()),
      abort: () => {},
    };
  }

  close(): void {}
}
