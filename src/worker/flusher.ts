import { StoreError } from "../error.ts";

/** The name of a store worker that does nothing but flush. */
export const FLUSHER_NAME = "tvix-store-web flush";

/** Of a file, as dedicated workers have it; pages don't. */
export interface SyncHandle {
  read(bytes: Uint8Array, options: { at: number }): number;
  write(bytes: Uint8Array, options: { at: number }): number;
  flush(): void;
  close(): void;
}

interface SyncFile {
  createSyncAccessHandle(options?: { mode: "read-only" }): Promise<SyncHandle>;
}

function isSyncFile(file: object): file is SyncFile {
  return "createSyncAccessHandle" in file;
}

/** @throws StoreError `unavailable` in a thread that has none, or the platform's exceptions */
export async function syncHandle(file: FileSystemFileHandle, options?: { mode: "read-only" }): Promise<SyncHandle> {
  const any: object = file;
  if (!isSyncFile(any)) throw new StoreError("unavailable", "this thread has no synchronous access to files");
  return any.createSyncAccessHandle(options);
}

/** Brings what was written to a file, through whatever handle, to the disk. Nobody may have it open. */
export async function flushFile(file: FileSystemFileHandle): Promise<void> {
  const handle = await syncHandle(file);
  try {
    handle.flush();
  } finally {
    handle.close();
  }
}

type Reply = "ready" | { readonly id: number; readonly error?: unknown };

/**
 * Flushes files in a worker of its own: a flush is synchronous, and takes as long as the disk does. The worker is started at the first file.
 * Where it can't be, this thread does the work.
 */
export class Flusher {
  #worker: Worker | undefined;
  #ready: Promise<void> | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, { resolve: () => void; reject: (error: unknown) => void }>();

  async flush(file: FileSystemFileHandle): Promise<void> {
    try {
      this.#ready ??= this.#start();
      await this.#ready;
    } catch {
      return flushFile(file);
    }
    return new Promise((resolve, reject) => {
      const id = this.#nextId++;
      this.#waiting.set(id, { resolve, reject });
      this.#worker?.postMessage({ id, file });
    });
  }

  /** Ends the worker. Another file starts it again. */
  close(): void {
    this.#fail(new StoreError("closed", "the store was closed"));
    this.#worker?.terminate();
    this.#worker = undefined;
    this.#ready = undefined;
  }

  #start(): Promise<void> {
    return new Promise((resolve, reject) => {
      // Our own script, wherever it came from, does it under another name.
      const worker = new Worker(self.location.href, { type: "module", name: FLUSHER_NAME });
      this.#worker = worker;
      worker.onmessage = ({ data }: MessageEvent<Reply>) => {
        if (data === "ready") return resolve();
        const waiting = this.#waiting.get(data.id);
        this.#waiting.delete(data.id);
        if (data.error === undefined) waiting?.resolve();
        else waiting?.reject(data.error);
      };
      worker.onerror = (event) => {
        event.preventDefault();
        const error = new StoreError("unavailable", "the worker that flushes packs failed");
        reject(error);
        this.#fail(error);
      };
    });
  }

  #fail(error: StoreError): void {
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
