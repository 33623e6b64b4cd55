import { onAbort } from "../on-abort.ts";

/**
 * Limits how many decoders run at once. Decoders that share a WebAssembly memory keep their windows
 * in it, and such a memory never shrinks.
 */
export class DecoderSlots {
  readonly #limit: number;
  #running = 0;
  readonly #waiting = new Set<() => void>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Waits for a free slot and takes it. The caller has to `free` it. */
  async take(signal: AbortSignal | undefined): Promise<void> {
    while (this.#running >= this.#limit) await this.#untilOneIsFree(signal);
    this.#running++;
  }

  free(): void {
    this.#running--;
    for (const wake of this.#waiting) wake();
  }

  #untilOneIsFree(signal: AbortSignal | undefined): Promise<void> {
    return new Promise<void>((resolve) => {
      const wake = (): void => {
        this.#waiting.delete(wake);
        unlink();
        resolve();
      };
      this.#waiting.add(wake);
      const unlink = onAbort(signal, wake);
      if (signal?.aborted) wake();
    }).then(() => signal?.throwIfAborted());
  }
}
