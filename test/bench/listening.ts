import { spawn } from "node:child_process";
import { once } from "node:events";
import { access } from "node:fs/promises";
import { join } from "node:path";

/** A server in its own process. */
export interface Listening {
  readonly address: string;
  stop(): Promise<void>;
}

/**
 * Starts Node with these arguments, and waits for the line `listening on ADDRESS`.
 *
 * @throws Error if the process ends before
 */
export async function listening(args: readonly string[]): Promise<Listening> {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "exit");
  const line = await Promise.race([once(child.stdout, "data"), ended.then(() => undefined)]);
  const address = /^listening on (\S+)/.exec(String(line?.[0]))?.[1];
  if (address === undefined) throw new Error("a server ended before it listened");
  return {
    address,
    async stop() {
      child.kill();
      await ended;
    },
  };
}

/**
 * Checks that the package is built.
 *
 * @param root root of the repository
 * @returns path of the built command
 */
export async function builtCommand(root: string): Promise<string> {
  const main = join(root, "dist/node/main.js");
  await access(main).catch(() => {
    throw new Error("there is no dist/; run `npm run build` first");
  });
  return main;
}
