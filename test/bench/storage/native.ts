/** Runs Nix on a private store beside the browser's profile. */

import { spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { nixEnvironment, removeNixStore } from "../../setup/tools.ts";

/**
 * Runs a program.
 *
 * @returns its standard output
 * @throws Error with its standard error if it fails
 */
export async function run(program: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  let errors = "";
  child.stdout.on("data", (data) => {
    output += data;
  });
  child.stderr.on("data", (data) => {
    errors += data;
  });
  const status = await new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${errors}`);
  return output;
}

/** Writes a tree as a NAR. */
export async function dumpToFile(tree: string, file: string): Promise<void> {
  await run("sh", ["-c", 'nix-store --dump "$1" > "$2"', "sh", tree, file]);
}

/** Waits until everything is on disk that programs have written. */
export async function flushDisks(): Promise<void> {
  await run("sync", []);
}

export class NativeStore {
  readonly #dir: string;
  readonly #env: NodeJS.ProcessEnv;

  private constructor(dir: string) {
    this.#dir = dir;
    const env = nixEnvironment(dir);
    // Nix's default setting: it syncs its database, but not the files that it adds.
    this.#env = { ...env, NIX_CONFIG: `${env.NIX_CONFIG}\nfsync-metadata = true` };
  }

  static async make(dir: string): Promise<NativeStore> {
    await mkdir(join(dir, "home"), { recursive: true });
    return new NativeStore(dir);
  }

  version(): Promise<string> {
    return run("nix-store", ["--version"], this.#env).then((line) => line.trim());
  }

  /**
   * Measures how long it takes to add a tree. `synced` includes a `sync` afterwards, because Nix
   * leaves it to the kernel when the files are written to disk. Deletes the tree afterwards, which
   * is not measured.
   */
  async add(tree: string): Promise<{ seconds: number; synced: number; storePath: string }> {
    const from = performance.now();
    const storePath = (await run("nix-store", ["--add", tree], this.#env)).trim();
    const seconds = (performance.now() - from) / 1000;
    await flushDisks();
    const synced = (performance.now() - from) / 1000;
    await run("nix-store", ["--delete", storePath], this.#env);
    return { seconds, synced, storePath };
  }

  /** Measures `nix-store --dump | sha256sum`. */
  async dumpHash(tree: string): Promise<{ seconds: number; hash: string }> {
    const from = performance.now();
    const output = await run("sh", ["-c", 'nix-store --dump "$1" | sha256sum', "sh", tree], this.#env);
    return { seconds: (performance.now() - from) / 1000, hash: output.slice(0, 64) };
  }

  remove(): Promise<void> {
    return removeNixStore(this.#dir);
  }
}
