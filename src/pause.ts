import { onAbort } from "./on-abort.ts";

/** Resolves after `delay` milliseconds. Rejects with `signal.reason` if aborted. */
export function pause(delay: number, signal?: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      unlink();
      resolve();
    }, delay);
    const unlink = onAbort(signal, () => {
      clearTimeout(timer);
      reject(signal?.reason);
    });
  });
}
