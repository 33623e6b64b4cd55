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

/** Returns the `code` that Node sets on errors of the operating system, for example `ENOENT`. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/**
 * Converts an error of the file system to a `StoreError`. Returns a `StoreError` unchanged.
 *
 * @param what failed operation and its file, for the message
 */
export function fileError(error: unknown, what: string): StoreError {
  if (isStoreError(error)) return error;
  const code = systemErrorCode(error);
  const reason = error instanceof Error ? withoutPath(error.message) : String(error);
  return new StoreError((code !== undefined && CODES[code]) || "unavailable", `${what}: ${reason}`, { cause: error });
}

/**
 * Cuts the path off a message of Node, for example off `ENOENT: no such file or directory, open
 * '/data/x'`. Clients must not learn the paths of a daemon's files. `cause` keeps the whole
 * message.
 */
function withoutPath(message: string): string {
  return /^(E[A-Z0-9]+: [^,]+), /.exec(message)?.[1] ?? message;
}

/**
 * Converts an error of a write, like `fileError`. A missing file becomes `unavailable` instead of
 * `not-found`: the caller didn't ask for a file, but the place to write to doesn't exist.
 */
export function writeError(error: unknown, what: string): StoreError {
  const ours = fileError(error, what);
  return ours !== error && ours.code === "not-found" ? new StoreError("unavailable", ours.message, { cause: error }) : ours;
}
