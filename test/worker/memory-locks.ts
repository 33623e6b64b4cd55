type Granted = { readonly name: string; readonly mode: LockMode };
type Work = (lock: Granted | null) => unknown;
interface Options {
  readonly mode?: LockMode;
  readonly ifAvailable?: boolean;
  readonly signal?: AbortSignal;
}

/** Web Locks of one origin, in place of `navigator.locks`. */
export class MemoryLocks {
  /** Locks that are held. */
  readonly held: Granted[] = [];
  readonly #waiting: { readonly lock: Granted; readonly start: () => void }[] = [];

  async request(name: string, ...rest: [Work] | [Options, Work]): Promise<unknown> {
    const work = rest.at(-1) as Work;
    const { mode = "exclusive", ifAvailable = false, signal } = (rest.length > 1 ? rest[0] : {}) as Options;
    signal?.throwIfAborted();
    const lock: Granted = { name, mode };
    if (!this.#isFree(lock)) {
      if (ifAvailable) return work(null);
      await new Promise<void>((start, stop) => {
        const waiting = { lock, start };
        this.#waiting.push(waiting);
        signal?.addEventListener("abort", () => {
          this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
          // WebKit rejects with an error of its own.
          stop(new DOMException("the request was aborted", "AbortError"));
        });
      });
    } else {
      this.held.push(lock);
    }
    try {
      return await work(lock);
    } finally {
      this.held.splice(this.held.indexOf(lock), 1);
      this.#grant();
    }
  }

  #isFree({ name, mode }: Granted): boolean {
    return this.held.every((held) => held.name !== name || (held.mode === "shared" && mode === "shared"));
  }

  #grant(): void {
    for (let next = this.#waiting[0]; next && this.#isFree(next.lock); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.held.push(next.lock);
      next.start();
    }
  }
}
