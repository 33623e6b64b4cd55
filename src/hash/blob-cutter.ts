import { kernel } from "./blake3.ts";
import type { CutBlob, CutChunk } from "./engine.ts";
import type { BlobPass } from "./kernel/streams.ts";
import { OutboardBuilder } from "./outboard.ts";

/** One pass over a blob, in this thread. What it holds of the content is the kernel's part of a group, whatever its length. */
export class SyncBlobCutter {
  readonly #outboard = new OutboardBuilder();
  readonly #pass: BlobPass = kernel.pass({ onNodes: (nodes) => this.#outboard.push(nodes) });
  #size = 0;

  /** The chunks that ended in `bytes`. */
  update(bytes: Uint8Array): readonly CutChunk[] {
    const chunks = this.#pass.update(bytes);
    this.#size += bytes.length;
    return chunks;
  }

  /** Ends it. */
  end(): CutBlob {
    try {
      const { chunks, digest } = this.#pass.end();
      return { chunks, digest, outboard: this.#outboard.finish(this.#size) };
    } finally {
      this.#pass.free();
    }
  }

  /** Lets go of what it holds; does nothing after the end. */
  abort(): void {
    this.#pass.free();
  }
}
