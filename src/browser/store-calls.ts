import { type Remote as ComlinkRemote, transfer } from "comlink";
import { StoreError } from "../error.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate, streamOf } from "../stream.ts";
import type { ArchiveSource } from "../thread/import-api.ts";
import { operationPort } from "../thread/operation-port.ts";
import { receiveStream, sendStream } from "../thread/port-stream.ts";
import type { StoreApi } from "../thread/store-api.ts";
import { RemoteUses } from "./remote-uses.ts";
import type { StoreConnection } from "./store-worker-client.ts";

/**
 * An archive: a stream, which is read to its end; or a `Blob` or `File`, which the worker reads
 * itself.
 */
export type Archive = ReadableStream<Uint8Array> | Blob;

/**
 * Calls the API of the store worker: short calls, long operations, and calls that answer with
 * streams.
 */
export class StoreCalls {
  readonly #connection: StoreConnection;
  /** The remotes that the calls use. */
  readonly remotes: RemoteUses;

  constructor(connection: StoreConnection) {
    this.#connection = connection;
    this.remotes = new RemoteUses((id) => {
      if (!connection.lost.aborted) connection.api.sync.forgetRemote(id).catch(() => {});
    });
  }

  get api(): ComlinkRemote<StoreApi> {
    return this.#connection.api;
  }

  /** Waits for the answer of a short call. */
  call<T>(answer: Promise<T>): Promise<T> {
    return this.#connection.call(answer);
  }

  /**
   * Runs a long call with abort and progress.
   *
   * @param release called when the call has settled
   */
  async operation<T>(
    options: OperationOptions,
    start: (port: MessagePort) => Promise<T>,
    release: () => void = () => {},
  ): Promise<T> {
    const { port, reported, finish } = operationPort(options);
    try {
      options.signal?.throwIfAborted();
      const result = await this.call(start(transfer(port, [port])));
      await this.call(reported);
      return result;
    } catch (error) {
      // The caller gets the reason itself, not the copy that the worker sent back.
      if (options.signal?.aborted) throw options.signal.reason;
      throw error;
    } finally {
      finish();
      release();
    }
  }

  /** Runs a long call that reads data of the page. */
  async send<T>(
    content: Archive,
    options: OperationOptions,
    start: (source: ArchiveSource, port: MessagePort) => Promise<T>,
  ): Promise<T> {
    // A worker that has died can't tell `sendStream` to stop, so the end of the call does.
    const ended = new AbortController();
    return this.operation(
      options,
      (port) => {
        const source = archiveSource(content, ended.signal);
        return start(transfer(source, "port" in source ? [source.port] : []), port);
      },
      () => ended.abort(new StoreError("closed", "the import has ended")),
    );
  }

  /** Makes a call whose answer is a stream. */
  receive<T>(start: (port: MessagePort) => Promise<void>, signal?: AbortSignal): ReadableStream<T> {
    const { port1, port2 } = new MessageChannel();
    return receiveStream<T>(port1, { signal, lost: this.#connection.lost, started: start(transfer(port2, [port2])) });
  }

  /**
   * Makes a long call whose answer is a stream, with progress. The call starts at the first read,
   * because a stream that is never read would keep its call open forever.
   */
  stream(options: OperationOptions, start: (port: MessagePort, to: MessagePort) => Promise<void>): ReadableStream<Uint8Array> {
    return streamOf(this.#pieces(options, start));
  }

  async *#pieces(
    { signal, onProgress }: OperationOptions,
    start: (port: MessagePort, to: MessagePort) => Promise<void>,
  ): AsyncGenerator<Uint8Array> {
    const { port, reported, finish } = operationPort({ onProgress });
    try {
      const stream = this.receive<Uint8Array>((to) => start(transfer(port, [port]), to), signal);
      for await (const bytes of iterate(stream)) yield bytes;
      await this.call(reported);
    } finally {
      finish();
    }
  }
}

/** @param ended aborted when the archive is no longer read */
function archiveSource(archive: Archive, ended: AbortSignal): ArchiveSource {
  if (archive instanceof Blob) return { blob: archive };
  const { port1, port2 } = new MessageChannel();
  sendStream(port1, archive, ended);
  return { port: port2 };
}
