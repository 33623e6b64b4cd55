import { once } from "node:events";
import { PassThrough, Readable, Writable } from "node:stream";
import { expect } from "vitest";
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

/** Runs the program, which must succeed without any message. Returns its standard output. */
export async function output(args: readonly string[], options?: CliOptions): Promise<Buffer> {
  const { status, stdout, stderr } = await runCli(args, options);
  expect([args, stderr, status]).toEqual([args, "", 0]);
  return stdout;
}

/**
 * Runs the program, which must fail with one line on standard error and nothing on standard output.
 *
 * @param status 1 for a failure, 2 for wrong usage
 */
export async function expectFailure(status: 1 | 2, args: readonly string[], options?: CliOptions): Promise<string> {
  const run = await runCli(args, options);
  expect([args, run.status, run.stdout.length, run.stderr]).toEqual([args, status, 0, expect.stringMatching(ONE_LINE)]);
  return run.stderr;
}

const ONE_LINE = /^tvix-store-web: [^\n]+\n$/;

export interface RunningDaemon {
  /** Address that the daemon printed. */
  readonly address: string;
  /** What the daemon has printed on standard error. */
  stderr(): string;
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
    stderr: () => stderr.bytes().toString(),
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
