/** Makes a signal that counts its listeners. */
export function watchedSignal(): { controller: AbortController; signal: AbortSignal; listeners(): number } {
  const controller = new AbortController();
  const { signal } = controller;
  const held = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: Parameters<typeof add>[1]) => {
    held.add(listener);
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: Parameters<typeof remove>[1]) => {
    held.delete(listener);
    remove(type, listener);
  };
  return { controller, signal, listeners: () => held.size };
}
