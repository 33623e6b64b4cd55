import type { Readable, Writable } from "node:stream";

/** Environment of one run of the program. Tests use it to run the program in their own process. */
export interface CliContext {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: NodeJS.ProcessEnv;
  /** Aborted to make the program end. */
  readonly signal: AbortSignal;
}

/**
 * Writes `bytes`. Resolves when the stream has written them. Rejects if the reader has closed the
 * stream.
 */
export function writeOut(stream: Writable, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
