import { kernel } from "./blake3.ts";
import type { CutBlob, CutChunk } from "./engine.ts";
import type { BlobPass } from "./kernel/streams.ts";
import { OutboardBuilder } from "./outboard.ts";

/**
 * One pass over a blob, in the calling thread. It holds only the few KiB of content that the kernel
 * buffers, whatever the length of the blob.
 */
export class SyncBlobCutter {
  readonly #outboard = new OutboardBuilder();
  readonly #pass: BlobPass = kernel.pass({ onNodes: (nodes) => this.#outboard.push(nodes) });
  #size = 0;

  /** Appends `bytes`. Returns the chunks that ended in them. */
  update(bytes: Uint8Array): readonly CutChunk[] {
    const chunks = this.#pass.update(bytes);
    this.#size += bytes.length;
    return chunks;
  }

  /** Ends the blob and releases the kernel's memory. */
  end(): CutBlob {
    try {
      const { chunks, digest } = this.#pass.end();
      return { chunks, digest, outboard: this.#outboard.finish(this.#size) };
    } finally {
      this.#pass.free();
    }
  }

  /** Discards the blob and releases the kernel's memory. Does nothing after the end. */
  abort(): void {
    this.#pass.free();
  }
}
