/** Runs tasks with the same key one after the other, in the order of the calls. */
export class OneAtATime {
  /** Latest task of each key that has a running task. */
  readonly #latest = new Map<string, Promise<unknown>>();

  /** Settles as `task` does. A failed earlier task doesn't matter: its caller gets the error. */
  async run<T>(key: string, task: () => Promise<T>): Promise<T> {
    const before = this.#latest.get(key);
    const running = (async () => {
      await before?.catch(() => {});
      return task();
    })();
    this.#latest.set(key, running);
    try {
      return await running;
    } finally {
      if (this.#latest.get(key) === running) this.#latest.delete(key);
    }
  }
}
