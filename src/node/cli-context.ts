import type { Readable, Writable } from "node:stream";

/** What a run of the program has of the world, so that tests can run it in their own process. */
export interface CliContext {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  readonly env: NodeJS.ProcessEnv;
  /** Asks the program to end. */
  readonly signal: AbortSignal;
}

/** Resolves when `bytes` are taken. Rejects if nobody reads them any more. */
export function writeOut(stream: Writable, bytes: Uint8Array | string): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
