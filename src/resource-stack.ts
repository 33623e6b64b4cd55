/** An object that holds a resource until it is closed. */
export interface Closable {
  close(): void | Promise<void>;
}

/**
 * Resources that are acquired one after the other, and released together in reverse order. Its
 * methods follow those of the platform's `AsyncDisposableStack`, which WebKitGTK 2.50 and Node 20
 * lack. Its resources have a method `close`, because the platform's objects (ports, channels,
 * handles) do.
 *
 * A resource that arrives after `dispose` is released at once: a slow step may end after another
 * step has failed.
 */
export class ResourceStack {
  #releases: (() => void | Promise<void>)[] = [];
  #isDisposed = false;

  /** Adds a resource that `close` releases. Returns the resource. */
  use<T extends Closable>(resource: T): T {
    return this.adopt(resource, (held) => held.close());
  }

  /** Adds a resource that `release` releases. Returns the resource. */
  adopt<T>(resource: T, release: (resource: T) => void | Promise<void>): T {
    this.defer(() => release(resource));
    return resource;
  }

  /** Adds a function that releases something. */
  defer(release: () => void | Promise<void>): void {
    this.#releases.push(release);
    // Nobody waits for this release, so nobody could handle its error.
    if (this.#isDisposed) this.dispose().catch(() => {});
  }

  /**
   * Releases all resources, the last one first. The releases run before this method returns, up to
   * the first release that returns a promise. If releases fail, the others still run, and the
   * promise then rejects with the first error. Later calls do nothing.
   */
  async dispose(): Promise<void> {
    this.#isDisposed = true;
    const failures: unknown[] = [];
    for (let release = this.#releases.pop(); release; release = this.#releases.pop()) {
      try {
        const released = release();
        if (released) await released;
      } catch (error) {
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  }
}

/**
 * Runs `work`, which acquires resources step by step. If a step fails, the resources of the earlier
 * steps are released, and the promise rejects with the error of the step. If no step fails, the
 * resources stay acquired. If the result has to release them later, `work` must keep a reference to
 * the stack.
 */
export async function acquiring<T>(work: (acquired: ResourceStack) => Promise<T>): Promise<T> {
  const acquired = new ResourceStack();
  try {
    return await work(acquired);
  } catch (error) {
    // The caller needs the first error, not a failure to clean up after it.
    await acquired.dispose().catch(() => {});
    throw error;
  }
}
