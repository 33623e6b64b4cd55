/** The command line asks for something that cannot be meant, or is not built: exit status 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
