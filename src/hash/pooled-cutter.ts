import { checkGiven } from "./attached.ts";
import type { BlobCutter, CutBlob, CutPiece } from "./engine.ts";
import { type PoolMember, returnedBuffer } from "./pool-member.ts";

/** A cutter whose blob one worker cuts. */
export class PooledCutter implements BlobCutter {
  #member: PoolMember;
  #stream: number;
  #failure: { error: unknown } | undefined;

  constructor(member: PoolMember, stream: number) {
    this.#member = member;
    this.#stream = stream;
  }

  async push(buffer: ArrayBuffer, length: number): Promise<CutPiece> {
    checkGiven(buffer, length);
    // If a piece did not reach the worker, the digest would lack it without an error.
    if (this.#failure) throw this.#failure.error;
    try {
      const reply = await this.#member.call<"cut">({ kind: "cut", stream: this.#stream, buffer, length }, [buffer], 2 * length);
      return { buffer: returnedBuffer(reply), chunks: reply.result };
    } catch (error) {
      this.#failure ??= { error };
      throw error;
    }
  }

  async end(): Promise<CutBlob> {
    this.#member.endStream(this.#stream);
    const { result } = await this.#member.call<"endCutter">({ kind: "endCutter", stream: this.#stream });
    if (this.#failure) throw this.#failure.error;
    return result;
  }

  abort(): void {
    this.#member.endStream(this.#stream);
    this.#member.call<"abort">({ kind: "abort", stream: this.#stream }).catch(() => {});
  }
}
