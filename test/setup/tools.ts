/**
 * The programs that tests use: the paths of the browsers, and Nix on a private store.
 *
 * Nix runs without root, daemon or network, on a chroot store. Its store paths begin with
 * `/nix/store/`, as everywhere, so they are the real ones. The files are under `dir`: Nix's
 * `/nix/store/x` is the file `join(dir, "/nix/store/x")`.
 */

import { execFile, spawn } from "node:child_process";
import { chmod, lstat, mkdir, readdir, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

// `require-tools.mjs` has checked that they exist.
export { chromiumPath, firefoxPath, miniBrowserPath, xvfbPath } from "./browser-paths.mjs";

/**
 * Returns the whole environment (not an addition to ours) for Nix's programs on the store under
 * `dir`. Nothing of the machine's Nix set-up has an effect: no configuration files, channels,
 * substituters or lookup caches.
 */
export function nixEnvironment(dir: string): Record<string, string> {
  const root = resolve(dir);
  return {
    PATH: process.env.PATH ?? "/usr/bin:/bin",
    TMPDIR: process.env.TMPDIR ?? "/tmp",
    LC_ALL: "C.UTF-8",
    // HOME contains Nix's cache of narinfo lookups. A shared one could answer for the cache of an
    // earlier test on the same port.
    HOME: join(root, "home"),
    NIX_REMOTE: `local?root=${encodeURIComponent(root)}`,
    NIX_CONF_DIR: join(root, "etc"),
    NIX_USER_CONF_FILES: "",
    NIX_PATH: "",
    NIX_CONFIG: [
      "experimental-features = nix-command",
      "substituters =",
      // As root, Nix would otherwise require a group of build users.
      "build-users-group =",
      // A chroot store builds in its own namespace whatever `sandbox` says. `sandbox-paths`
      // supplies /bin/sh there.
      "sandbox = false",
      "sandbox-paths = /bin /usr /lib /lib64?",
      "download-attempts = 1",
      "fsync-metadata = false",
    ].join("\n"),
  };
}

export interface NixOptions {
  /** Directory of the private store. It is created if it is missing. */
  readonly dir: string;
  /** Standard input of the program; empty by default. */
  readonly input?: Uint8Array | string;
}

/**
 * Runs one of Nix's programs, such as `["nix-store", "--add", path]` or
 * `["nix", "copy", "--to", url, path]`. Resolves to its standard output. If it fails, rejects with
 * its standard error.
 */
export async function nix(args: readonly [program: string, ...rest: string[]], options: NixOptions): Promise<Buffer> {
  const [program, ...rest] = args;
  const environment = nixEnvironment(options.dir);
  await mkdir(join(resolve(options.dir), "home"), { recursive: true });
  const child = spawn(program, rest, { env: environment, stdio: ["pipe", "pipe", "pipe"] });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (data: Buffer) => out.push(data));
  child.stderr.on("data", (data: Buffer) => err.push(data));
  // If a program ends before it has read its whole input, the pipe closes. Its exit status tells
  // whether that matters.
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const status = await new Promise<number | string>((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => done(code ?? signal ?? "nothing"));
  });
  if (status !== 0) throw new Error(`${args.join(" ")} ended with ${status}: ${Buffer.concat(err).toString()}`);
  return Buffer.concat(out);
}

/**
 * Like `nix`, for programs that print one line. Resolves to the line without its end:
 * `nixLine(["nix-store", "--add", path], { dir })` is a store path.
 */
export async function nixLine(args: readonly [program: string, ...rest: string[]], options: NixOptions): Promise<string> {
  return (await nix(args, options)).toString().trimEnd();
}

let version: Promise<string> | undefined;

/** Returns the version of Nix that the tests run, such as `2.34.8`. */
export function nixVersion(): Promise<string> {
  version ??= promisify(execFile)("nix", ["--version"]).then(({ stdout }) => stdout.trim().split(" ").at(-1) ?? "");
  return version;
}

/** Whether the tests run this version of Nix, or a later one. */
export async function isNixFrom(major: number, minor: number): Promise<boolean> {
  const [foundMajor = 0, foundMinor = 0] = (await nixVersion()).split(".").map(Number);
  return foundMajor > major || (foundMajor === major && foundMinor >= minor);
}

/**
 * Deletes a private store. Nix makes directories read-only, which a plain `rm` can only delete as
 * root.
 */
export async function removeNixStore(dir: string): Promise<void> {
  const store = Buffer.from(join(resolve(dir), "nix/store"));
  await makeWritable(store).catch((error: unknown) => {
    if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) throw error;
  });
  await rm(dir, { recursive: true, force: true });
}

// File names are bytes: some stores under test contain names that are not UTF-8.
async function makeWritable(directory: Buffer): Promise<void> {
  if (!(await lstat(directory)).isDirectory()) return;
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, encoding: "buffer" })) {
    if (entry.isDirectory()) await makeWritable(Buffer.concat([directory, Buffer.from("/"), entry.name]));
  }
}
