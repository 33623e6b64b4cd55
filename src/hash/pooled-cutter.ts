import { checkGiven } from "./attached.ts";
import type { BlobCutter, CutBlob, CutPiece } from "./engine.ts";
import { type PoolMember, returnedBuffer } from "./pool-member.ts";

/** A cutter whose blob one worker cuts. */
export class PooledCutter implements BlobCutter {
  #member: PoolMember;
  #stream: number;
  #failure: { error: unknown } | undefined;

  /** @param opened rejects if the worker can't open the cutter; every call rejects then */
  constructor(member: PoolMember, stream: number, opened: Promise<unknown>) {
    this.#member = member;
    this.#stream = stream;
    opened.catch((error) => {
      this.#failure ??= { error };
    });
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
      throw this.#failure.error;
    }
  }

  async end(): Promise<CutBlob> {
    this.#member.endStream(this.#stream);
    const [ended] = await Promise.allSettled([this.#member.call<"endCutter">({ kind: "endCutter", stream: this.#stream })]);
    // If the cutter could not be opened, or a piece was lost, this error says why.
    if (this.#failure) throw this.#failure.error;
    if (ended.status === "rejected") throw ended.reason;
    return ended.value.result;
  }

  abort(): void {
    this.#member.endStream(this.#stream);
    this.#member.call<"abort">({ kind: "abort", stream: this.#stream }).catch(() => {});
  }
}
