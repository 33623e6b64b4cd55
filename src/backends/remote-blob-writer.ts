import { EMPTY_BYTES, equalBytes } from "../bytes.ts";
import type { BlobWriter, CreateBlobOptions } from "../castore/blob-service.ts";
import { asDigest, type Digest, formatDigest } from "../castore/digest.ts";
import { checkExpected } from "../castore/expected-digest.ts";
import { StoreError } from "../error.ts";
import { checkAttached } from "../hash/attached.ts";
import type { HashStream } from "../hash/engine.ts";
import { onAbort } from "../on-abort.ts";
import { iterate } from "../stream.ts";
import { cutBlobPieces } from "../wire/blob-message.ts";
import type { RemoteConnection } from "./remote-connection.ts";

const WHAT = "writing a blob";

interface PutCall {
  pieces: WritableStreamDefaultWriter<Uint8Array>;
  /** Digest that the remote answers. */
  digest: Promise<Uint8Array>;
}

/**
 * Writes a blob with one `Put` call, as fast as the connection takes the data. The call starts with
 * the first byte.
 */
export class RemoteBlobWriter implements BlobWriter {
  #connection: RemoteConnection;
  #hash: HashStream;
  #stop = new AbortController();
  readonly #expected: Digest | undefined;
  #unlink = (): void => {};
  #call: PutCall | undefined;
  #size = 0;
  #ended = false;

  /** @param options the digest that the blob must have, and a signal that aborts the call */
  constructor(connection: RemoteConnection, hash: HashStream, { expected, signal }: CreateBlobOptions) {
    this.#connection = connection;
    this.#hash = hash;
    this.#expected = expected;
    this.#unlink = onAbort(signal, () => void this.abort(signal?.reason));
  }

  async write(bytes: Uint8Array): Promise<void> {
    this.#checkOpen();
    try {
      checkAttached(bytes);
      for (const piece of cutBlobPieces(bytes)) {
        this.#size += piece.length;
        await Promise.all([this.#send(piece), this.#hash.update(piece)]);
      }
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async close(): Promise<{ digest: Digest; size: number }> {
    this.#checkOpen();
    try {
      // Send one empty message for the empty blob, because some servers end a call without
      // messages.
      if (!this.#call) await this.#send(EMPTY_BYTES);
      const digest = await this.#finish(this.#begin());
      this.#end();
      return { digest, size: this.#size };
    } catch (error) {
      throw await this.#fail(error);
    }
  }

  async abort(reason?: unknown): Promise<void> {
    if (this.#ended) return;
    await this.#fail(reason);
  }

  async #send(piece: Uint8Array): Promise<void> {
    const { pieces, digest } = this.#begin();
    try {
      // Send a copy. The piece stays in the stream for a moment after `write` resolves, and its
      // buffer belongs to the caller.
      await Promise.race([pieces.write(piece.slice()), digest.then(answeredTooEarly)]);
    } catch {
      // The stream only knows that it was cut off. The call knows the reason.
      await digest;
      answeredTooEarly();
    }
  }

  async #finish({ pieces, digest: answer }: PutCall): Promise<Digest> {
    const digest = asDigest(await this.#hash.digest());
    checkExpected(digest, this.#expected);
    // If this fails, the call fails too, with the reason.
    pieces.close().catch(() => {});
    const answered = await answer;
    if (equalBytes(answered, digest)) return digest;
    throw new StoreError(
      "corrupt",
      `${WHAT}, ${this.#connection.name} answered the digest ${formatDigest(answered)} instead of ${formatDigest(digest)}`,
    );
  }

  #begin(): PutCall {
    if (this.#call) return this.#call;
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const digest = this.#connection.call(WHAT, this.#stop.signal, (client, signal) => client.putBlob(iterate(readable), signal));
    // The next `write` or `close` reports a failure; nothing awaits the promise before.
    digest.catch(() => {});
    this.#call = { pieces: writable.getWriter(), digest };
    this.#call.pieces.closed.catch(() => {});
    return this.#call;
  }

  /** Ends the call so that the blob doesn't become visible. Returns `error`. */
  async #fail(error: unknown): Promise<unknown> {
    if (this.#ended) return error;
    this.#end();
    this.#hash.abort();
    this.#stop.abort(error);
    this.#call?.pieces.abort(error).catch(() => {});
    await this.#call?.digest.catch(() => {});
    return error;
  }

  #end(): void {
    this.#ended = true;
    this.#unlink();
  }

  #checkOpen(): void {
    if (this.#stop.signal.aborted) throw this.#stop.signal.reason;
    if (this.#ended) throw new StoreError("closed", "this blob is already written");
  }
}

function answeredTooEarly(): never {
  throw new StoreError("corrupt", "the remote answered before the whole blob was sent");
}
