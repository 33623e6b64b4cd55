import { isStoreError, StoreError, type StoreErrorCode } from "../error.ts";

const CODES: Readonly<Record<string, StoreErrorCode>> = {
  ENOENT: "not-found",
  ENOTDIR: "not-found",
  EACCES: "denied",
  EPERM: "denied",
  EROFS: "denied",
  ENOSPC: "quota",
  EDQUOT: "quota",
  EFBIG: "quota",
  ENAMETOOLONG: "invalid",
  ELOOP: "invalid",
  EISDIR: "invalid",
};

/** The `code` that Node gives to errors of the operating system, `ENOENT` for example. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/** The file system's error as ours; `what` says what could not be done, and to which file. A `StoreError` stays as it is. */
export function fileError(error: unknown, what: string): StoreError {
  if (isStoreError(error)) return error;
  const code = systemErrorCode(error);
  const reason = error instanceof Error ? error.message : String(error);
  return new StoreError((code !== undefined && CODES[code]) || "unavailable", `${what}: ${reason}`, { cause: error });
}

/** Likewise for a write, where nobody asked for what is missing: the place to write to is not there, so `unavailable`. */
export function writeError(error: unknown, what: string): StoreError {
  const ours = fileError(error, what);
  return ours !== error && ours.code === "not-found" ? new StoreError("unavailable", ours.message, { cause: error }) : ours;
}
