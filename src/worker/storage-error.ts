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

/** A pack that an index record refers to is missing, or shorter than it says. */
export class PackGone extends StoreError {
  readonly pack: string;

  constructor(pack: string, problem: string, options?: { cause?: unknown }) {
    super("corrupt", `pack ${pack} of the store ${problem}`, options);
    this.pack = pack;
  }
}
