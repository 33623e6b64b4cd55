import { untilAborted } from "./until-aborted.ts";

/**
 * Settles like `work`, within `limit` milliseconds. After that time it aborts the signal of `work`
 * and rejects with `late()`, even if `work` ignores the signal.
 */
export async function withDeadline<T>(limit: number, late: () => Error, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(late()), limit);
  try {
    return await untilAborted(work(controller.signal), controller.signal);
  } finally {
    clearTimeout(timer);
  }
}
