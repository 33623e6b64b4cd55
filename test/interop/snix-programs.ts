import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { promisify } from "node:util";
import { type LeashedProcess, startLeashed } from "../setup/leashed-process.ts";

/** Real programs of snix. They were built elsewhere; the test suite doesn't build them. */
export const SNIX_STORE = process.env.SNIX_STORE;
export const NAR_BRIDGE = process.env.NAR_BRIDGE;

/**
 * Prints once which variables are missing, so that a skipped suite is not mistaken for a passed
 * one.
 */
export function sayWhatIsMissing(): void {
  const missing = Object.entries({ SNIX_STORE, NAR_BRIDGE }).filter(([, path]) => !path);
  for (const [name] of missing) console.warn(`${name} is not set: interop with that program is NOT tested in this run`);
}

const run = promisify(execFile);

/** Runs `snix-store` to its end, and returns its standard output. */
export async function snixStore(...args: string[]): Promise<string> {
  const { stdout } = await run(SNIX_STORE ?? "", ["--otlp=false", ...args]);
  return stdout.trimEnd();
}

export interface SnixServer {
  /** Address as `HOST:PORT`. */
  readonly address: string;
  end(): Promise<void>;
}

/** Starts a server program of snix, and waits until it listens. */
export async function startSnix(program: string, args: readonly string[]): Promise<SnixServer> {
  const address = `127.0.0.1:${await freePort()}`;
  const { child, end } = await startLeashed(program, [...args, "-l", address]);
  while (!(await answers(address))) {
    if (child.exitCode !== null) throw new Error(`${program} ended before it listened`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return { address, end };
}

/** Starts `snix-store daemon` with these services. */
export function startSnixStore(flags: readonly string[]): Promise<SnixServer> {
  return startSnix(SNIX_STORE ?? "", ["--otlp=false", "daemon", ...flags]);
}

/** Mounts the store of a daemon at `directory`, which must exist. */
export async function mountSnix(flags: readonly string[], directory: string): Promise<LeashedProcess> {
  return startLeashed(SNIX_STORE ?? "", ["--otlp=false", "mount", "--list-root", ...flags, directory]);
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const bound = server.address();
  server.close();
  await once(server, "close");
  if (typeof bound !== "object" || bound === null) throw new Error("no port was bound");
  return bound.port;
}

function answers(address: string): Promise<boolean> {
  const [host, port] = address.split(":");
  return new Promise((resolve) => {
    const socket = connect(Number(port), host);
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
