/**
 * Error of the command line's usage: it is wrong, or asks for a feature that is not supported yet.
 * The exit status is 2.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
