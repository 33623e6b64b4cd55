import { StoreError } from "../error.ts";
import { OpenFile } from "./open-file.ts";

/** The name of a store worker that does nothing but flush. */
export const FLUSHER_NAME = "tvix-store-web flush";

/** Brings what was written to a file, through whatever handle, to the disk. Nobody may have it open. */
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
 * Flushes files in a worker of its own: a flush is synchronous, and takes as long as the disk does. The first file starts the
 * worker. Where the worker can't be started, this thread does the work.
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

  /** Ends the worker. What it has not flushed yet rejects with `closed`. Another file starts it again. */
  close(): void {
    this.#running?.end();
    this.#running = undefined;
  }
}

/** One worker, from its start to its end. */
class FlushWorker {
  /** False if the worker can't be started. Rejects if the worker was ended before it listened. */
  readonly started: Promise<boolean>;
  /** Why the worker flushes nothing any more, after it once listened. */
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
        // Our own script, wherever it came from, does it under another name.
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
    // Those who wait for it handle the rejection; there may be none.
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

/** Of a dedicated worker's global scope. */
interface FlusherScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
}

/** What such a worker runs. */
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
