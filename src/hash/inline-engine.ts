import type { HashAlgorithm } from "../hash-algorithm.ts";
import { checkAttached, checkGiven } from "./attached.ts";
import { kernel } from "./blake3.ts";
import { SyncBlobCutter } from "./blob-cutter.ts";
import type { BlobCutter, HashEngine, HashStream, HashStreamOptions } from "./engine.ts";
import { createLocalHashStream, type LocalHashStream } from "./hash-stream.ts";

/** Hashes in the calling thread: for Node, for tests, and for platforms without workers. */
export class InlineHashEngine implements HashEngine {
  async blake3Many(blobs: readonly Uint8Array[]): Promise<Uint8Array[]> {
    blobs.forEach(checkAttached);
    return kernel.blake3Many(blobs);
  }

  async stream(algorithm: HashAlgorithm, options?: HashStreamOptions): Promise<HashStream> {
    const stream = await this.localStream(algorithm, options);
    return {
      update: async (bytes) => {
        checkAttached(bytes);
        stream.update(bytes);
      },
      give: async (buffer, length) => {
        checkGiven(buffer, length);
        stream.update(new Uint8Array(buffer, 0, length));
        return buffer;
      },
      digest: () => stream.digest(),
      abort: () => stream.abort(),
    };
  }

  async cutter(): Promise<BlobCutter> {
    const cutter = new SyncBlobCutter();
    return {
      push: async (buffer, length) => {
        checkGiven(buffer, length);
        return { buffer, chunks: cutter.update(new Uint8Array(buffer, 0, length)) };
      },
      end: async () => cutter.end(),
      abort: () => cutter.abort(),
    };
  }

  close(): void {}

  /** Creates a hash stream. Overridden on platforms that have faster ones. */
  protected localStream(algorithm: HashAlgorithm, options?: HashStreamOptions): Promise<LocalHashStream> {
    return createLocalHashStream(algorithm, options);
  }
}
