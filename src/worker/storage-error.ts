import { StoreError } from "../error.ts";

/** Gives the platform's exceptions a code. @param what cannot be used: `the database x` */
export function storageError(error: unknown, what: string): unknown {
  if (!(error instanceof DOMException)) return error;
  if (error.name === "QuotaExceededError") {
    return new StoreError("quota", "the browser has no room left for this store", { cause: error });
  }
  const code = error.name === "SecurityError" || error.name === "NotAllowedError" ? "denied" : "unavailable";
  return new StoreError(code, `${what} can't be used: ${error.message}`, { cause: error });
}

/** A `quota` error that tells how much is missing, as far as the browser says so. @param needed bytes that could not be written */
export async function quotaError(needed: number, cause?: unknown): Promise<StoreError> {
  const estimate = await navigator.storage?.estimate?.().catch(() => undefined);
  const { quota, usage } = estimate ?? {};
  const room = quota === undefined || usage === undefined ? "" : `: this page's origin uses ${usage} of the ${quota} bytes it may`;
  return new StoreError("quota", `the browser has no room for at least ${needed} bytes more of this store${room}`, { cause });
}

/** Why a pack that is being written is gone. */
export const FILES_CLEARED = "what was being written is gone; the browser may have cleared this site's files. Try again.";

/** A pack that an index record refers to is missing, or shorter than it says. */
export class PackGone extends StoreError {
  readonly pack: string;

  constructor(pack: string, problem: string, options?: { cause?: unknown }) {
    super("corrupt", `pack ${pack} of the store ${problem}`, options);
    this.pack = pack;
  }
}
