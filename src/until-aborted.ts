import { onAbort } from "./on-abort.ts";

/**
 * Settles like `work`, or rejects with `signal.reason` if aborted first. An abort does not stop
 * `work` itself. Unlike `Promise.race`, it leaves no listener on a long-lived signal.
 */
export function untilAborted<T>(work: Promise<T>, signal: AbortSignal | null | undefined): Promise<T> {
  if (!signal) return work;
  return new Promise((resolve, reject) => {
    const unlink = onAbort(signal, () => reject(signal.reason));
    work.then(resolve, reject).then(unlink);
  });
}
