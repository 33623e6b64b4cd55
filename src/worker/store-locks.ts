import { StoreError } from "../error.ts";

/**
 * Web Locks of one store, over all tabs. What writes content holds the lock shared until a PathInfo refers to it; collecting garbage
 * holds it alone. Where a browser has no locks, writers go on without, and garbage can't be collected.
 */
export class StoreLocks {
  #name: string;

  constructor(storeName: string) {
    this.#name = `tvix-store-web:${storeName}:content`;
  }

  async writing<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks) return work();
    return navigator.locks.request(this.#name, { mode: "shared", signal }, work);
  }

  async alone<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    if (!navigator.locks) throw new StoreError("unavailable", "this browser has no Web Locks, so it isn't safe to collect garbage");
    return navigator.locks.request(this.#name, { signal }, work);
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
