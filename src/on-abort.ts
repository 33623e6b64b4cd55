/** The callbacks of each signal that has any. */
const callbacks = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `callback` when `signal` is aborted later. However many callbacks a signal has, it has one
 * listener: Node warns of a leak at the eleventh, and all requests of a copy share one signal.
 *
 * @returns takes the callback back; to be called when the work is over
 */
export function onAbort(signal: AbortSignal | null | undefined, callback: () => void): () => void {
  if (!signal || signal.aborted) return () => {};
  const all = callbacks.get(signal) ?? listen(signal);
  // The same function may be given twice, and taken back once.
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

function dispatch({ currentTarget }: Event): void {
  if (!(currentTarget instanceof AbortSignal)) return;
  const all = callbacks.get(currentTarget) ?? new Set();
  callbacks.delete(currentTarget);
  currentTarget.removeEventListener("abort", dispatch);
  // A callback may take others back, which are not called then.
  for (const callback of all) {
    try {
      callback();
    } catch (error) {
      // As the platform does: a listener's failure is nobody's but its own.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
