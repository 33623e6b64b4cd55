import { createHash } from "node:crypto";
import { checkAttached, checkGiven } from "../hash/attached.ts";
import type { HashStream } from "../hash/engine.ts";
import type { HashAlgorithm } from "../hash/hash-stream.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";

/** Hashes in the calling thread, with Node's own SHA and MD5, which are native; BLAKE3 is the kernel's, as in a page. */
export class NodeHashEngine extends InlineHashEngine {
  override async stream(algorithm: HashAlgorithm): Promise<HashStream> {
    if (algorithm === "blake3") return super.stream(algorithm);
    const hash = createHash(algorithm);
    return {
      update: async (bytes) => {
        checkAttached(bytes);
        hash.update(bytes);
      },
      give: async (buffer, length) => {
        checkGiven(buffer, length);
        hash.update(new Uint8Array(buffer, 0, length));
        return buffer;
      },
      digest: async () => new Uint8Array(hash.digest()),
      abort: () => {},
    };
  }
}
