import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface Daemon {
  readonly url: string;
  stop(): Promise<unknown>;
}

/**
 * Starts a daemon, and resolves when it listens.
 *
 * @param preload directory of a binary cache that it imports first
 */
export async function startDaemon(main: string, dataDir: string, preload: string): Promise<Daemon> {
  const args = [main, "daemon", "-l", "127.0.0.1:0", "--data-dir", dataDir, "--preload", preload];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const kill = (): void => {
    child.kill("SIGTERM");
  };
  process.on("exit", kill);
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^listening on (http:.*)$/.exec(line)?.[1];
    if (url === undefined) continue;
    return {
      url,
      stop() {
        process.off("exit", kill);
        kill();
        return exit;
      },
    };
  }
  throw new Error(`the daemon ended before it listened, with status ${await exit}`);
}
