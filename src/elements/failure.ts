import { isStoreError, type StoreErrorCode } from "../error.ts";
import { FailedPathsError } from "../store/failed-paths.ts";

const WHAT_TO_DO: Partial<Record<StoreErrorCode, string>> = {
  quota: "There is no room left for this site's data. Delete some store paths, or free space on the disk.",
  closed: "The store was closed. Reload the page to open it again.",
  denied: "The request was refused.",
  corrupt: "The data does not match its hash or its format, so it was refused.",
  conflict: "This conflicts with something that the store has already.",
  internal: "This is a bug in the viewer.",
};

/** Describes an error to a reader, including the library's own message. */
export function describeFailure(error: unknown): string {
  // Several paths failed, and the advice for one code need not fit all of them.
  if (error instanceof FailedPathsError && error.report.failed > 1) return `${capital(error.message)}.`;
  if (isStoreError(error)) {
    const advice = WHAT_TO_DO[error.code];
    const message = capital(error.message);
    return advice ? `${advice} (${message})` : sentence(message);
  }
  return sentence(error instanceof Error ? capital(error.message || error.name) : String(error));
}

function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function capital(text: string): string {
  // Leave a name, an address or a path at the beginning as it is.
  return /^[a-z]+[ :]/.test(text) && !/^[a-z]+:\//.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
