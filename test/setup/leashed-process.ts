import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A program that can't outlive us. */
export interface LeashedProcess {
  readonly child: ChildProcess;
  /** Resolves when the program is gone, with all that it started. */
  end(): Promise<void>;
}

export interface LeashOptions {
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Deleted when the program is gone. */
  readonly directory?: string | undefined;
  /** Whether the program gets a pipe to us as its file 3. */
  readonly pipe?: boolean | undefined;
}

/**
 * Waits until nobody holds the other end of its standard input: we closed it, or we are gone, whatever ended us. Then ends the whole
 * process group; what does not listen to SIGTERM is killed after 2 seconds.
 */
const GUARD = `
read -r _
kill -s TERM -- "-$1"
for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
  kill -s 0 -- "-$1" || break
  sleep 0.1
done
kill -s KILL -- "-$1"
[ -z "$2" ] || rm -rf -- "$2"
`;

/** Of what a program says on its standard error, kept for whoever asks why it ended. */
const LAST_WORDS = 2000;

/**
 * Starts `program` in a process group of its own, and beside it a shell that watches over both of us. Tells on our standard error if it
 * ends before it is told to. Rejects if it can't be started.
 */
export async function startLeashed(
  program: string,
  args: readonly string[],
  { env, directory, pipe }: LeashOptions = {},
): Promise<LeashedProcess> {
  const child = spawn(program, args, {
    env: { ...process.env, ...env },
    detached: true,
    stdio: ["ignore", "ignore", "pipe", pipe ? "pipe" : "ignore"],
  });
  // Without a process there is nothing to end, but `directory` is there still.
  const group = String(child.pid ?? "none");
  const guard = spawn("/bin/sh", ["-c", GUARD, "guard", group, directory ?? ""], {
    detached: true,
    stdio: ["pipe", "ignore", "ignore"],
  });
  const gone = once(guard, "close");
  let ending = false;
  const end = async (): Promise<void> => {
    ending = true;
    guard.stdin?.end();
    await gone;
  };
  let said = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-LAST_WORDS);
  });
  try {
    await once(child, "spawn");
  } catch (cause) {
    await end();
    throw new Error(`${program} can't be started`, { cause });
  }
  child.once("exit", (status, signal) => {
    if (!ending) process.stderr.write(`${program} ended by itself (${signal ?? status}): ${said}\n`);
  });
  return { child, end };
}
