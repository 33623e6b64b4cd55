import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type RunningDaemon, startDaemon } from "../node/run-cli.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { type PlainCache, startPlainCache } from "./plain-cache.ts";

/**
 * Runs commands of Nix on the daemon's binary cache and on a plain web server. Both must end with
 * the same result, and print the same.
 */

let dir: string;
let daemon: RunningDaemon;
let plain: PlainCache;
/** Store paths and derivations by the names of the expression's attributes. */
const paths = new Map<string, string>();
const derivations = new Map<string, string>();

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-commands-nix-"));
  daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, "data")]);
  plain = await startPlainCache();
  await writeFile(join(dir, "x.nix"), EXPRESSION);
  await writeFile(join(dir, "file.txt"), "content\n");
  const run = { dir: join(dir, "builder") };
  await writeFile(join(dir, "key"), await nix(["nix", "key", "generate-secret", "--key-name", "test-1"], run));
  for (const name of ["lib", "plus", "question", "outer"]) {
    derivations.set(name, await nixLine(["nix-instantiate", join(dir, "x.nix"), "-A", name], run));
    paths.set(name, await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix"), "-A", name], run));
  }
}, 120_000);

afterAll(async () => {
  await daemon.stop();
  await plain.close();
  for (const store of ["builder", "reader-daemon", "reader-plain"]) await removeNixStore(join(dir, store));
  await rm(dir, { recursive: true, force: true });
});

/**
 * Commands with placeholders: `CACHE`, `KEY`, names of paths (`lib`) and names of derivations
 * (`lib.drv`).
 */
const COMMANDS: readonly (readonly [program: string, ...args: string[]])[] = [
  ["nix", "store", "ping", "--store", "CACHE"],
  ["nix", "copy", "--to", "CACHE", "outer"],
  ["nix", "copy", "--to", "CACHE", "plus", "question"],
  ["nix", "copy", "--to", "CACHE", "--derivation", "plus.drv"],
  ["nix", "copy", "--to", "CACHE", "--no-recursive", "--substitute-on-destination", "lib"],
  ["nix", "store", "copy-log", "--to", "CACHE", "plus.drv", "question.drv"],
  ["nix", "store", "sign", "--store", "CACHE", "--key-file", "KEY", "plus"],
  ["nix", "store", "sign", "--store", "CACHE", "--recursive", "--key-file", "KEY", "outer"],
  ["nix", "store", "copy-sigs", "--substituter", "CACHE", "plus"],
  ["nix", "store", "copy-sigs", "--store", "CACHE", "--substituter", "local?root=BUILDER", "--recursive", "outer"],
  ["nix", "path-info", "--store", "CACHE", "--recursive", "--size", "--sigs", "outer", "plus"],
  ["nix", "path-info", "--store", "CACHE", "--closure-size", "outer"],
  ["nix", "store", "ls", "--store", "CACHE", "--long", "--recursive", "outer"],
  ["nix", "store", "ls", "--store", "CACHE", "--json", "--recursive", "outer"],
  ["nix", "store", "cat", "--store", "CACHE", "plus/bin/run"],
  ["nix", "store", "dump-path", "--store", "CACHE", "plus"],
  ["nix", "store", "diff-closures", "--store", "CACHE", "lib", "outer"],
  ["nix", "why-depends", "--store", "CACHE", "outer", "lib"],
  ["nix", "store", "verify", "--store", "CACHE", "--no-trust", "--recursive", "outer"],
  ["nix", "store", "make-content-addressed", "--from", "CACHE", "--to", "CACHE", "lib"],
  // This path refers to itself.
  ["nix", "store", "make-content-addressed", "--to", "CACHE", "plus"],
  ["nix", "store", "copy-log", "--from", "CACHE", "plus.drv"],
  ["nix", "store", "add-path", "--store", "CACHE", "FILE"],
  ["nix", "store", "add-file", "--store", "CACHE", "FILE"],
];

/** Commands that a binary cache does not support. */
const FAILING: typeof COMMANDS = [
  ["nix", "path-info", "--store", "CACHE", "/nix/store/00000000000000000000000000000000-missing"],
  ["nix", "path-info", "--store", "CACHE", "--all"],
  ["nix", "store", "delete", "--store", "CACHE", "lib"],
  ["nix", "store", "gc", "--store", "CACHE"],
  ["nix", "log", "--store", "CACHE", "/nix/store/00000000000000000000000000000000-missing.drv"],
];

const titled = (commands: typeof COMMANDS) => commands.map((command) => [command.join(" "), command] as const);

test.each(titled(COMMANDS))("%s", { timeout: 60_000 }, async (_, command) => {
  const [ours, theirs] = [await outcome(command, daemon.address), await outcome(command, plain.address)];
  expect(ours).toEqual(theirs);
  expect(ours).not.toMatch(/^failed/);
});

test.each(titled(FAILING))("fails: %s", { timeout: 60_000 }, async (_, command) => {
  const [ours, theirs] = [await outcome(command, daemon.address), await outcome(command, plain.address)];
  expect(ours).toEqual(theirs);
  expect(ours).toMatch(/^failed/);
});

test("paths are substituted with the signatures that were added", { timeout: 120_000 }, async () => {
  const key = await nixLine(["nix", "key", "convert-secret-to-public"], {
    dir: join(dir, "builder"),
    input: await nix(["cat", join(dir, "key")], { dir: join(dir, "builder") }),
  });
  for (const [name, address] of [
    ["daemon", daemon.address],
    ["plain", plain.address],
  ]) {
    const store = { dir: join(dir, `reader-${name}`) };
    const options = ["--option", "substituters", address ?? "", "--option", "trusted-public-keys", key, "--max-jobs", "0"];
    for (const attribute of ["outer", "plus"]) {
      const found = await nixLine(["nix-build", "--no-out-link", ...options, join(dir, "x.nix"), "-A", attribute], store);
      expect(found).toBe(paths.get(attribute));
      await nix(["nix", "store", "verify", "--recursive", "--option", "trusted-public-keys", key, found], store);
    }
    // This path is unsigned, so Nix would build it.
    await expect(nix(["nix-build", "--no-out-link", ...options, join(dir, "x.nix"), "-A", "question"], store)).rejects.toThrow();
    await nix(["nix-build", "--no-out-link", ...options.slice(0, -2), join(dir, "x.nix"), "-A", "question"], store);
  }
});

test("a log is found by the name of its derivation, even with special characters", { timeout: 60_000 }, async () => {
  for (const name of ["plus", "question"]) {
    const derivation = derivations.get(name) ?? "";
    await nix(["nix", "copy", "--to", daemon.address, "--derivation", derivation], { dir: join(dir, "builder") });
    expect(await nixLine(["nix", "log", "--store", daemon.address, derivation], { dir: join(dir, "builder") })).toBe("a log line");
  }
});

/** Returns the output of a command, or its failure. */
async function outcome([program, ...args]: readonly [string, ...string[]], address: string): Promise<string> {
  const replaced = args.map((arg) => {
    const [name = "", ...inner] = arg.split("/");
    const path = paths.get(name) ?? derivations.get(name.replace(/\.drv$/, ""));
    if (path !== undefined) return [path, ...inner].join("/");
    return arg
      .replace("CACHE", address)
      .replace("KEY", join(dir, "key"))
      .replace("FILE", join(dir, "file.txt"))
      .replace("BUILDER", encodeURIComponent(join(dir, "builder")));
  });
  try {
    const output = await nix([program, ...replaced], { dir: join(dir, "builder") });
    return output.toString("latin1").replaceAll(address, "CACHE");
  } catch (error) {
    return `failed: ${String(error).replaceAll(address, "CACHE")}`;
  }
}

const EXPRESSION = `
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    PATH = "/usr/bin:/bin";
    args = [ "-e" "-c" script ];
  };
in rec {
  lib = build "lib-1.0" "mkdir -p $out/share; echo lib > $out/share/text; ln -s share/text $out/link";
  plus = build "plus+2.0" "mkdir -p $out/bin; echo \${lib} $out > $out/bin/run; chmod +x $out/bin/run; echo a log line";
  question = build "what?q=1" "echo x > $out; echo a log line";
  outer = build "outer" "echo \${lib} > $out";
}
`;
