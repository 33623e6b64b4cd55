import { isStoreError, type StoreErrorCode } from "../error.ts";
import { FailedPathsError } from "../store/failed-paths.ts";

const WHAT_TO_DO: Partial<Record<StoreErrorCode, string>> = {
  quota: "There is no room left for this site's data. Delete some store paths, or free space on the disk.",
  closed: "The store was closed. Reload the page to open it again.",
  denied: "This was refused.",
  corrupt: "The data is not what it says it is, so it was refused.",
  conflict: "This does not go with what the store has already.",
  internal: "This is a defect of the viewer.",
};

/** An error in words for a reader, the library's own message included. */
export function describeFailure(error: unknown): string {
  // The advice for its code is about all that was asked for.
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
  // Not where it begins with a name, an address or a path.
  return /^[a-z]+[ :]/.test(text) && !/^[a-z]+:\//.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
