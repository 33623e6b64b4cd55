import { pause } from "../pause.ts";
import { isSilent } from "./silence.ts";

/**
 * Length in milliseconds, and number, of the waits for an answer after the worker's lock became
 * free. If no answer comes, the worker counts as dead.
 */
const CONFIRM_STEP = 250;
const CONFIRM_STEPS = 8;
/**
 * The same for a worker whose lock the page can't see, so that only silence shows its death. A
 * worker that writes to a slow disk can be silent for long.
 */
const PING_STEP = 10_000;
const PING_STEPS = 18;

/**
 * Calls `onDeath` once when a worker has died. No event tells that a worker was terminated from
 * outside. But the worker holds a lock for its whole life, so the lock is free after its death.
 *
 * A page may not see its worker's locks: when Chromium clears this site's data, it starts a new set
 * of locks, and the page continues with the old one. So the page checks that it sees the lock, and
 * pings the worker before it trusts a free lock. If it can't see the lock, it pings the worker
 * repeatedly.
 *
 * @param lock name of the lock, which the worker already holds; empty if the browser has no Web
 *   Locks, and then nothing is watched
 * @param ping resolves when the worker has answered
 * @returns a function that ends the watch
 */
export function watchLife(lock: string, ping: () => Promise<unknown>, onDeath: () => void): () => void {
  if (!lock || !navigator.locks) return () => {};
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    let isDead = false;
    if (await seesLock(lock)) {
      await navigator.locks.request(lock, { signal: ended.signal }, async () => {
        isDead = await isSilent(ping, CONFIRM_STEP, CONFIRM_STEPS, ended.signal);
      });
    }
    while (!isDead) {
      await pause(PING_STEP, ended.signal);
      isDead = await isSilent(ping, PING_STEP, PING_STEPS, ended.signal);
    }
    onDeath();
  };
  watch().catch(() => {
    // The watch was ended, or the page is being closed.
  });
  return () => ended.abort();
}

async function seesLock(lock: string): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === lock);
}
