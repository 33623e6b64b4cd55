import { isSilent, pause } from "./silence.ts";

/** Milliseconds between looks for an answer, and how many without one mean that the worker is dead, once its lock is free. */
const CONFIRM_STEP = 250;
const CONFIRM_STEPS = 8;
/** The same where nothing but its silence tells. A worker that writes to a slow disk is silent for long. */
const PING_STEP = 10_000;
const PING_STEPS = 18;

/**
 * Calls `onDeath` once when a worker has died. No event tells that a worker was ended from outside; but a lock that it holds for as long
 * as it lives is free then.
 *
 * A page may not see its worker's locks: in Chromium, clearing this site's data begins a new set of them, and a page goes on with the
 * old one. So the page looks whether it sees the lock, and before it believes a free one, it asks the worker. Where it does not see
 * the lock, it asks the worker again and again.
 *
 * @param lock name of the lock; the worker holds it already. Empty where the browser has no Web Locks: then nothing is watched
 * @param ping resolves when the worker has answered
 * @returns ends the watch
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
    // The watch was ended, or the page itself is going away.
  });
  return () => ended.abort();
}

async function seesLock(lock: string): Promise<boolean> {
  const { held = [] } = await navigator.locks.query();
  return held.some(({ name }) => name === lock);
}
