import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { main } from "../../src/node/cli.ts";

export interface CliRun {
  readonly status: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface CliOptions {
  readonly stdin?: string | Uint8Array | undefined;
  readonly env?: Record<string, string> | undefined;
}

/** Runs the program in this process, without the environment of the tests. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliRun> {
  const stdout = collector();
  const stderr = collector();
  const status = await main(args, {
    stdin: Readable.from([Buffer.from(options.stdin ?? "")]),
    stdout: stdout.stream,
    stderr: stderr.stream,
    env: { ...options.env },
    signal: new AbortController().signal,
  });
  return { status, stdout: stdout.bytes(), stderr: stderr.bytes().toString() };
}

export interface RunningDaemon {
  /** Address that the daemon printed. */
  readonly address: string;
  /** Stops the daemon as SIGTERM does. Resolves to the exit status. */
  stop(): Promise<number>;
}

/**
 * Starts `daemon` with `args`, and waits until it listens. If the daemon ends before, rejects with
 * its standard error.
 */
export async function startDaemon(args: readonly string[], options: CliOptions = {}): Promise<RunningDaemon> {
  const controller = new AbortController();
  const stdout = new PassThrough();
  const stderr = collector();
  const status = main(["daemon", ...args], {
    stdin: Readable.from([]),
    stdout,
    stderr: stderr.stream,
    env: { ...options.env },
    signal: controller.signal,
  });
  const line = await Promise.race([once(stdout, "data").then(([data]) => String(data)), status]);
  const address = typeof line === "string" ? /^listening on (\S+)\n$/.exec(line)?.[1] : undefined;
  if (address === undefined) throw new Error(`the daemon ended with ${line}: ${stderr.bytes()}`);
  return {
    address,
    stop() {
      controller.abort(new Error("stop"));
      return status;
    },
  };
}

function collector() {
  const parts: Buffer[] = [];
  const stream = new Writable({
    write(part: Buffer, _encoding, done) {
      // The program may use the buffer again after this call, so it is copied.
      parts.push(Buffer.from(part));
      done();
    },
  });
  return { stream, bytes: () => Buffer.concat(parts) };
}
