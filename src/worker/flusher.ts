import { StoreError } from "../error.ts";
import { OpenFile } from "./open-file.ts";

/** Name of a store worker that only flushes files. */
export const FLUSHER_NAME = "tvix-store-web flush";

/**
 * Flushes everything that was written to a file, through any handle, to the disk. Nobody may have
 * the file open.
 */
export async function flushFile(file: FileSystemFileHandle): Promise<void> {
  const opened = await OpenFile.open(file);
  try {
    opened.flush();
  } finally {
    await opened.close();
  }
}

type Reply = "ready" | { readonly id: number; readonly error?: unknown };

/**
 * Flushes files in a separate worker, because a flush is synchronous and blocks its thread until
 * the disk is done. The first file starts the worker. If the worker can't be started, this thread
 * flushes.
 */
export class Flusher {
  #running: FlushWorker | undefined;

  /** @throws StoreError `closed` if `close` is called before the file is on the disk */
  async flush(file: FileSystemFileHandle): Promise<void> {
    if (this.#running?.failure) this.#running = undefined;
    this.#running ??= new FlushWorker();
    const running = this.#running;
    return (await running.started) ? running.flush(file) : flushFile(file);
  }

  /**
   * Ends the worker. Flushes that are not done reject with `closed`. The next file starts a new
   * worker.
   */
  close(): void {
    this.#running?.end();
    this.#running = undefined;
  }
}

/** One flush worker, from its start to its end. */
class FlushWorker {
  /**
   * Resolves to false if the worker can't be started. Rejects if the worker is ended before it
   * listens.
   */
  readonly started: Promise<boolean>;
  /**
   * Why the worker no longer flushes: it failed after it had started to listen, or it was ended.
   */
  failure: StoreError | undefined;
  #worker: Worker | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();
  #endStart = (_error: StoreError): void => {};

  constructor() {
    this.started = new Promise((resolve, reject) => {
      this.#endStart = reject;
      let listens = false;
      try {
        // This worker's own script, wherever it was loaded from, flushes if its name is
        // `FLUSHER_NAME`.
        this.#worker = new Worker(self.location.href, { type: "module", name: FLUSHER_NAME });
      } catch {
        resolve(false);
        return;
      }
      this.#worker.onmessage = ({ data }: MessageEvent<Reply>) => {
        if (data !== "ready") return this.#settle(data);
        listens = true;
        resolve(true);
      };
      this.#worker.onerror = (event) => {
        event.preventDefault();
        if (listens) this.#fail(new StoreError("unavailable", "the worker that flushes packs failed; try again"));
        else resolve(false);
      };
    });
    // Callers of `flush` handle the rejection. If there are none, it must not count as unhandled.
    this.started.catch(() => {});
  }

  flush(file: FileSystemFileHandle): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker?.postMessage({ id, file });
    });
  }

  end(): void {
    const closed = new StoreError("closed", "the store was closed");
    this.#endStart(closed);
    this.#fail(closed);
    this.#worker?.terminate();
  }

  #settle({ id, error }: Exclude<Reply, "ready">): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve();
    else waiting?.reject(error);
  }

  #fail(error: StoreError): void {
    this.failure ??= error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

/** The part of a dedicated worker's global scope that `serveFlushes` uses. */
interface FlusherScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
}

/** Flushes the files that a `FlushWorker` sends to this thread. */
export function serveFlushes(scope: FlusherScope): void {
  scope.onmessage = async ({ data }: MessageEvent<{ id: number; file: FileSystemFileHandle }>) => {
    const { id, file } = data;
    try {
      await flushFile(file);
      scope.postMessage({ id });
    } catch (error) {
      scope.postMessage({ id, error });
    }
  };
  scope.postMessage("ready");
}
