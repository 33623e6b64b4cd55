import { createHash } from "node:crypto";
import type { LocalHashStream } from "../hash/hash-stream.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";
import type { HashAlgorithm } from "../hash-algorithm.ts";

/**
 * Hashes in the calling thread. SHA and MD5 are Node's native ones. BLAKE3 is the kernel's, as in a
 * page.
 */
export class NodeHashEngine extends InlineHashEngine {
  protected override async localStream(algorithm: HashAlgorithm): Promise<LocalHashStream> {
    if (algorithm === "blake3") return super.localStream(algorithm);
    const hash = createHash(algorithm);
    return {
      update(bytes) {
        hash.update(bytes);
      },
      digest: async () => new Uint8Array(hash.digest()),
      abort() {},
    };
  }
}
