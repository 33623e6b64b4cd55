import { StoreError } from "../error.ts";

/**
 * Web Locks of one store, over all tabs. Whoever writes packs holds one shared, so that unfinished packs, and those that a session
 * relies on, are not removed; who removes packs holds it alone. Where a browser has no locks nothing is ever removed.
 */
export class StoreLocks {
  readonly #writers: string;
  readonly #garbage: string;

  constructor(storeName: string) {
    this.#writers = `tvix-store-web:${storeName}:writers`;
    this.#garbage = `tvix-store-web:${storeName}:garbage`;
  }

  async writing<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks) return work();
    return request(this.#writers, "shared", signal, work);
  }

  /** Runs `work` unless somebody writes. */
  async ifNobodyWrites(work: () => Promise<void>): Promise<void> {
    if (!navigator.locks) return;
    await navigator.locks.request(this.#writers, { ifAvailable: true }, async (lock) => {
      if (lock) await work();
    });
  }

  /** One at a time collects garbage. */
  async collecting<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks) throw new StoreError("unavailable", "this browser has no Web Locks, so it isn't safe to collect garbage");
    return request(this.#garbage, "exclusive", signal, work);
  }
}

/** An abort rejects with its reason; WebKit has an error of its own for it. */
async function request<T>(name: string, mode: LockMode, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await navigator.locks.request(name, { mode, ...(signal && { signal }) }, work);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Takes a lock that is held for as long as this worker lives, so that others can tell when it dies. Resolves to its name when it is
 * held, not before: the page waits for the same lock.
 */
export async function holdLifeLock(): Promise<string> {
  if (!navigator.locks) return "";
  const name = `tvix-store-web:worker:${crypto.randomUUID()}`;
  await new Promise<void>((held, failed) => {
    const forever = () => {
      held();
      return new Promise<never>(() => {});
    };
    navigator.locks.request(name, forever).catch(failed);
  });
  return name;
}
