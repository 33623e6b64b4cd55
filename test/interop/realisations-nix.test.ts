import { existsSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningDaemon, startDaemon } from "../node/run-cli.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";

/**
 * Real Nix puts realisations of content-addressed derivations into the daemon's binary cache, and
 * substitutes with them.
 */

const FEATURE = ["--option", "experimental-features", "nix-command ca-derivations"];

let dir: string;
let daemon: RunningDaemon;
/** Directory of a `file://` cache of Nix with the same paths. */
let files: string;
let key: string;
let top: string;
const builder = () => ({ dir: join(dir, "builder") });

/**
 * Runs a program in the builder's store.
 * @param args of a program that accepts Nix's options
 */
const inBuilder = (...args: [string, ...string[]]) => nixLine([...args, ...FEATURE], builder());
const start = (port = "0") => startDaemon(["-l", `127.0.0.1:${port}`, "--data-dir", join(dir, "data")]);

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-realisations-nix-"));
  files = join(dir, "files");
  daemon = await start();
  await writeFile(join(dir, "x.nix"), EXPRESSION);
  const secret = await nix(["nix", "key", "generate-secret", "--key-name", "test-1"], builder());
  await writeFile(join(dir, "key"), secret);
  key = await nixLine(["nix", "key", "convert-secret-to-public"], { ...builder(), input: secret });
  top = await inBuilder(
    "nix-build",
    "--no-out-link",
    join(dir, "x.nix"),
    "-A",
    "top",
    "--option",
    "secret-key-files",
    join(dir, "key"),
  );
}, 120_000);

afterAll(async () => {
  await daemon.stop();
  for (const store of readdirSync(dir, { withFileTypes: true }))
    if (store.isDirectory()) await removeNixStore(join(dir, store.name));
  await rm(dir, { recursive: true, force: true });
});

test("are copied, and equal those of a file cache, also after a restart", { timeout: 120_000 }, async () => {
  for (const attribute of ["base", "top"]) {
    await inBuilder("nix", "copy", "--to", `file://${files}`, "-f", join(dir, "x.nix"), attribute);
    // The second time, the realisations exist already.
    for (let i = 0; i < 2; i++) await inBuilder("nix", "copy", "--to", daemon.address, "-f", join(dir, "x.nix"), attribute);
  }
  const { port } = new URL(daemon.address);
  await daemon.stop();
  daemon = await start(port);
  const kept = ["realisations", "build-trace-v2"].map((name) => join(files, name)).filter((path) => existsSync(path));
  const realisations = kept.flatMap((path) =>
    readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  expect(realisations.length).toBeGreaterThanOrEqual(2);
  for (const path of realisations) {
    const response = await fetch(`${daemon.address}/${relative(files, path)}`);
    expect([path, response.status, await response.text()]).toEqual([path, 200, readFileSync(path, "utf8")]);
  }
});

const substituting = (...more: string[]) =>
  ["--option", "substituters", daemon.address, "--option", "trusted-public-keys", key, ...more, ...FEATURE] as const;

test("are used for substitution", { timeout: 120_000 }, async () => {
  const reader = { dir: join(dir, "reader") };
  const build = ["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", "top", "--max-jobs", "0"] as const;
  expect(await nixLine([...build, ...substituting()], reader)).toBe(top);
  expect(readFileSync(join(reader.dir, top), "utf8")).toMatch(/^\/nix\/store\/\S+-base \/nix\/store\/\S+-top\n$/);
  const again = { dir: join(dir, "reader-2") };
  await nix(["nix", "build", "--no-link", "-f", join(dir, "x.nix"), "top", "--max-jobs", "0", ...substituting()], again);
  await nix(["nix", "copy", "--from", daemon.address, top, ...substituting()], { dir: join(dir, "reader-3") });
});

test("are no obstacle to a build if they are missing or unsigned", { timeout: 120_000 }, async () => {
  const reader = { dir: join(dir, "reader-4") };
  await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", "other", ...substituting()], reader);
  // A builder without a key copies the unsigned realisation.
  const unsigned = { dir: join(dir, "unsigned") };
  const built = await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", "other", ...FEATURE], unsigned);
  await nix(["nix", "copy", "--to", daemon.address, "-f", join(dir, "x.nix"), "other", ...FEATURE], unsigned);
  const last = { dir: join(dir, "reader-5") };
  expect(await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", "other", ...substituting()], last)).toBe(built);
});

test("of a build that isn't reproducible are copied each time", { timeout: 120_000 }, async () => {
  const paths = new Set<string>();
  for (const name of ["first", "second"]) {
    const each = { dir: join(dir, `builder-${name}`) };
    const arguments_ = ["-f", join(dir, "x.nix"), "noise", ...FEATURE] as const;
    paths.add(await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", "noise", ...FEATURE], each));
    await nix(["nix", "copy", "--to", daemon.address, ...arguments_], each);
  }
  expect(paths.size).toBe(2);
});

const EXPRESSION = `
let
  floating = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
    __contentAddressed = true;
    outputHashMode = "recursive";
    outputHashAlgo = "sha256";
  };
in rec {
  base = floating "base" "echo base > $out";
  # It refers to itself, which its content address leaves out of account.
  top = floating "top" "echo \${base} $out > $out";
  other = floating "other" "echo other > $out";
  noise = floating "noise" "/bin/date +%N > $out";
}
`;
