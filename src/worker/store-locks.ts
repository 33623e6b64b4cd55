import { StoreError } from "../error.ts";

/**
 * Web Locks of one store, shared by all tabs. A writer of packs holds the writers' lock in shared
 * mode, so that nobody removes unfinished packs or packs that its session relies on. A sweep, which
 * removes packs, holds the lock exclusively. In a browser without Web Locks, no pack is ever
 * removed.
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

  /** Runs `work` unless somebody is writing. Nobody can write meanwhile. */
  async ifNobodyWrites(work: () => Promise<void>): Promise<void> {
    if (!navigator.locks) return;
    await navigator.locks.request(this.#writers, { ifAvailable: true }, async (lock) => {
      if (lock) await work();
    });
  }

  /**
   * Runs `work` as soon as nobody writes. Nobody can write meanwhile.
   *
   * @throws StoreError `unavailable` if the browser has no Web Locks
   */
  async withoutWriters<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks)
      throw new StoreError("unavailable", "this browser has no Web Locks, so it isn't safe to repair the index");
    return request(this.#writers, "exclusive", signal, work);
  }

  /**
   * Runs `work`, a garbage collection, verification or repair, while no other one runs in any tab.
   *
   * @throws StoreError `unavailable` if the browser has no Web Locks
   */
  async collecting<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks) throw new StoreError("unavailable", "this browser has no Web Locks, so it isn't safe to collect garbage");
    return request(this.#garbage, "exclusive", signal, work);
  }
}

/**
 * Runs `work` under a lock. An abort rejects with the reason of the signal, also in WebKit, which
 * throws an error of its own.
 */
async function request<T>(name: string, mode: LockMode, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await navigator.locks.request(name, { mode, ...(signal && { signal }) }, work);
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

/**
 * Takes a lock that is held for as long as this worker lives, so that others notice when it dies.
 * Resolves to the name of the lock once it is held, not before, because the page waits for the same
 * lock. Resolves to an empty string if the browser has no Web Locks.
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
