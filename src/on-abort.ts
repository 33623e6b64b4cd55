/** The callbacks of each signal that has at least one. */
const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` when `signal` is aborted, or at once if it is aborted already. All callbacks of
 * a signal share one listener: Node warns of a leak at the eleventh listener, and all requests of
 * a copy share one signal.
 *
 * @returns a function that removes the callback; call it when the work is over
 */
export function onAbort(signal: AbortSignal | null | undefined, callback: () => void): () => void {
  if (!signal) return () => {};
  if (signal.aborted) {
    callback();
    return () => {};
  }
  const all = callbacks.get(signal) ?? listen(signal);
  // A new function, because a caller may register the same callback twice and remove it once.
  const own = (): void => callback();
  all.add(own);
  return () => {
    all.delete(own);
    if (all.size > 0 || callbacks.get(signal) !== all) return;
    callbacks.delete(signal);
    signal.removeEventListener("abort", dispatch);
  };
}

function listen(signal: AbortSignal): Set<() => void> {
  const all = new Set<() => void>();
  callbacks.set(signal, all);
  signal.addEventListener("abort", dispatch);
  return all;
}

/** Uses `target`: Node 20 sets `currentTarget` to null for all listeners but a signal's first. */
function dispatch({ target }: Event): void {
  if (!(target instanceof AbortSignal)) return;
  const all = callbacks.get(target) ?? new Set();
  callbacks.delete(target);
  target.removeEventListener("abort", dispatch);
  // A callback may remove other callbacks. The loop then skips them.
  for (const callback of all) {
    try {
      callback();
    } catch (error) {
      // Like the platform, report a listener's error without disturbing other listeners.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
