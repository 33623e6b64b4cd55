import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";

/** A program that ends when this process ends. */
export interface LeashedProcess {
  readonly child: ChildProcess;
  /** Ends the program and everything that it started. Resolves when they are gone. */
  end(): Promise<void>;
}

export interface LeashOptions {
  readonly env?: NodeJS.ProcessEnv | undefined;
  /** Directory to delete when the program is gone. */
  readonly directory?: string | undefined;
  /** Whether the program gets a pipe to this process as its file descriptor 3. */
  readonly pipe?: boolean | undefined;
}

/**
 * Shell script that waits until its standard input closes: either `end` closed it or this process
 * is gone, for any reason. Then it ends the whole process group. It sends SIGTERM, and SIGKILL
 * after 2 seconds.
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

/** Number of characters of the program's standard error that are kept, to report why it ended. */
const LAST_WORDS = 2000;

/**
 * Starts `program` in its own process group, together with a shell that watches over it and this
 * process. If the program ends before `end` is called, reports that on standard error. Rejects if
 * the program can't be started.
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
  // Even if there is no process to end, `directory` must be deleted.
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
