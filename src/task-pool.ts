/** Runs tasks concurrently, up to a limit. */
export class TaskPool {
  readonly #limit: number;
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly reason: unknown } | undefined;

  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * Waits until fewer tasks than the limit are running, then starts `task`. Resolves when `task`
   * has started. If an earlier task failed, rejects with its error and does not start `task`.
   */
  async run(task: () => Promise<void>): Promise<void> {
    while (this.#running.size >= this.#limit) await Promise.race(this.#running);
    this.#throwFailure();
    const running: Promise<void> = task()
      .catch((reason: unknown) => {
        this.#failure ??= { reason };
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  /** Waits until all tasks are over. Then rejects with the first failure, if there was one. */
  async finish(): Promise<void> {
    await Promise.all(this.#running);
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.reason;
  }
}
