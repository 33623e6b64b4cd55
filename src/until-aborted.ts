import { onAbort } from "./on-abort.ts";

/**
 * Settles as `work` does, or rejects with `signal.reason` at an abort, whichever comes first. `work`
 * itself goes on. Unlike `Promise.race`, it leaves no listener at a signal that lives long.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const giveUp = (): void => reject(signal.reason);
    if (signal.aborted) giveUp();
    work.then(resolve, reject).then(onAbort(signal, giveUp));
  });
}
