import { StoreError } from "../error.ts";

/**
 * Turns an exception of the platform into a StoreError; returns other errors unchanged.
 *
 * @param what object that can't be used, for example `the database x`
 */
export function storageError(error: unknown, what: string): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new StoreError("quota", "the browser has no room left for this store", { cause: error });
  }
  const code = error.name === "SecurityError" || error.name === "NotAllowedError" ? "denied" : "unavailable";
  return new StoreError(code, `${what} can't be used: ${error.message}`, { cause: error });
}

/**
 * Makes a `quota` error that tells how much space is missing, as far as the browser tells it.
 *
 * @param needed number of bytes that could not be written
 */
export async function quotaError(needed: number, cause?: unknown): Promise<StoreError> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  const { quota, usage } = estimate ?? {};
  const room =
    quota === undefined || usage === undefined ? "" : `: this page's origin uses ${usage} of the ${quota} bytes that it may use`;
  return new StoreError("quota", `the browser has no room for at least ${needed} more bytes of this store${room}`, { cause });
}

/** Message for a pack that disappeared while it was written. */
export const FILES_CLEARED = "the pack that was being written is gone; the browser may have cleared this site's files. Try again.";

/** Error for a pack that is missing, or shorter than its index record says. */
export class PackGone extends StoreError {
  readonly pack: string;

  constructor(pack: string, problem: string, options?: { cause?: unknown }) {
    super("corrupt", `pack ${pack} of the store ${problem}`, options);
    this.pack = pack;
  }
}
