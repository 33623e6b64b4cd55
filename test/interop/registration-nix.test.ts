import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { isNixFrom, nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { nixPathInfos, type ShownPathInfo } from "./nix-path-infos.ts";

/** Compares our store paths, and our output about them, with real Nix. */

let dir: string;
let nixDir: string;
let tree: string;
let file: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-registration-nix-"));
  nixDir = join(dir, "nix");
  tree = join(dir, "tree");
  mkdirSync(join(tree, "bin"), { recursive: true });
  writeFileSync(join(tree, "bin", "run"), "#!/bin/sh\n");
  chmodSync(join(tree, "bin", "run"), 0o755);
  symlinkSync("bin/run", join(tree, "link"));
  file = join(dir, "file.txt");
  writeFileSync(file, "content\n");
});
afterAll(async () => {
  await removeNixStore(nixDir);
  await rm(dir, { recursive: true, force: true });
});

async function cli(args: string[], stdin?: string): Promise<string> {
  const address = `file:${join(dir, "store")}`;
  const services = serviceFlags(address);
  const { status, stdout, stderr } = await runCli([...args, ...services], { stdin });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout.toString().trimEnd();
}

const inNix = (...args: [string, ...string[]]) => nixLine(args, { dir: nixDir });

test("fixed paths of each hash algorithm, flat and recursive", { timeout: 60_000 }, async () => {
  const executable = join(tree, "bin", "run");
  const link = join(dir, "link");
  symlinkSync("file.txt", link);
  for (const hash of ["md5", "sha1", "sha256", "sha512"]) {
    const flags = ["--hash-algo", hash];
    for (const path of [tree, file, executable, link]) {
      expect(await cli(["import", ...flags, path])).toBe(await inNix("nix-store", "--add-fixed", "--recursive", hash, path));
    }
    for (const path of [file, executable]) {
      expect(await cli(["import", "--mode", "flat", ...flags, path])).toBe(await inNix("nix-store", "--add-fixed", hash, path));
    }
  }
});

test("nix store add-path and add-file with a name", { timeout: 60_000 }, async () => {
  expect(await cli(["import", "--name", "other", tree])).toBe(await inNix("nix", "store", "add-path", "--name", "other", tree));
  expect(await cli(["import", "-n", "other.txt", "--mode", "flat", file])).toBe(
    await inNix("nix", "store", "add-file", "--name", "other.txt", file),
  );
});

test("derivations, and the texts and sources that they need", { timeout: 60_000 }, async () => {
  const expression = join(dir, "texts.nix");
  writeFileSync(expression, TEXTS);
  writeFileSync(join(dir, "source.txt"), "a source\n");
  const drv = await inNix("nix-instantiate", expression);
  const requisites = (await inNix("nix-store", "--query", "--requisites", drv)).split("\n");
  expect(requisites.length).toBeGreaterThan(4);
  for (const path of requisites) {
    const references = (await inNix("nix-store", "--query", "--references", path)).split("\n").filter((line) => line !== "");
    const name = path.slice("/nix/store/".length + 33);
    const isSource = name === "source.txt";
    const mode = ["--mode", "text", "--name", name, ...references.flatMap((reference) => ["--reference", reference])];
    const flags = path.endsWith(".drv") ? ["--derivation"] : isSource ? ["--name", name] : mode;
    expect(await cli(["import", ...flags, join(nixDir, path)])).toBe(path);
  }
  await expectSamePathInfos(drv, ["--derivation"]);
});

test("a signed closure from a binary cache's files, compressed", { timeout: 60_000 }, async () => {
  const expression = join(dir, "closure.nix");
  writeFileSync(expression, CLOSURE);
  const built = await inNix("nix-build", "--no-out-link", expression);
  const key = join(dir, "secret-key");
  writeFileSync(key, await nix(["nix", "key", "generate-secret", "--key-name", "test-1"], { dir: nixDir }));
  await inNix("nix", "store", "sign", "--recursive", "--key-file", key, built);
  const cache = join(dir, "cache");
  await inNix("nix", "copy", "--to", `file://${cache}?compression=xz`, built);
  const closure = (await inNix("nix-store", "--query", "--requisites", built)).split("\n");
  for (const path of closure) {
    const narInfo = join(cache, `${path.slice(11, 43)}.narinfo`);
    const url = /^URL: (.*)$/m.exec(readFileSync(narInfo, "utf8"))?.[1] ?? "";
    expect(url).toMatch(/\.xz$/);
    expect(await cli(["import", "--nar-info", narInfo, join(cache, url)])).toBe(path);
  }
  expect(readdirSync(cache)).toContain(`${built.slice(11, 43)}.narinfo`);
  await expectSamePathInfos(built);

  const json = (await nix(["nix", "path-info", "--json", "--recursive", built], { dir: nixDir })).toString();
  expect((await cli(["copy", "-", "--root", nixDir], json)).split("\n").sort()).toEqual([...closure].sort());
});

test("copy imports the output of exportReferencesGraph for a derivation with structured attributes", {
  timeout: 60_000,
}, async () => {
  const expression = join(dir, "graph.nix");
  writeFileSync(expression, `${CLOSURE.replace(/in\s+outer\s*$/, "")} in ${GRAPH}`);
  const graph = await inNix("nix-build", "--no-out-link", expression);
  const json = readFileSync(join(nixDir, graph), "utf8");
  const written = JSON.parse(json) as { closure: { path: string }[] };
  const paths = written.closure.map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(1);
  const fresh = `file:${join(dir, "graph-store")}`;
  const services = serviceFlags(fresh);
  const { status, stdout, stderr } = await runCli(["copy", "-", "--root", nixDir, ...services], { stdin: json });
  expect([stderr, status]).toEqual(["", 0]);
  expect(stdout.toString().trimEnd().split("\n").sort()).toEqual([...paths].sort());
});

test("nix store ls and nix store cat", { timeout: 60_000 }, async () => {
  const path = await cli(["import", "--name", "listed", tree]);
  await inNix("nix", "store", "add-path", "--name", "listed", tree);
  for (const flags of [[], ["-l"], ["-R"], ["-l", "-R"], ["-l", "-d"], ["-l", "-d", "-R"]]) {
    for (const inner of ["", "/bin", "/bin/run", "/link"])
      expect([flags, inner, await cli(["ls", ...flags, `${path}${inner}`])]).toEqual([
        flags,
        inner,
        await inNix("nix", "store", "ls", ...flags, `${path}${inner}`),
      ]);
  }
  const single = await cli(["import", "--name", "single", file]);
  await inNix("nix", "store", "add-path", "--name", "single", file);
  // A root has no name. Nix 2.8 shows no name in this place.
  const long = await cli(["ls", "-l", single]);
  expect((await isNixFrom(2, 34)) ? long.slice(0, -` ${basename(single)}`.length) : long).toBe(
    await inNix("nix", "store", "ls", "-l", single),
  );
  expect(await cli(["cat", `${path}/bin/run`])).toBe(await inNix("nix", "store", "cat", `${path}/bin/run`));
});

/** Compares the fields that both programs know. */
async function expectSamePathInfos(path: string, flags: string[] = []): Promise<void> {
  // Registration time, and whether a path was built here, are facts of Nix's own store.
  const facts = (await nixPathInfos(["--recursive", ...flags, path], nixDir)).map(
    ({ registrationTime: _, ultimate: __, ...rest }) => rest,
  );
  const ours: ShownPathInfo[] = JSON.parse(await cli(["path-info", "--json", "--recursive", path]));
  expect([...ours].sort((a, b) => (String(a.path) < String(b.path) ? -1 : 1))).toEqual(facts);
  const lines = (await nix(["nix", "path-info", "--recursive", ...flags, path], { dir: nixDir })).toString().trimEnd().split("\n");
  expect((await cli(["path-info", "-r", path])).split("\n").sort()).toEqual(lines.sort());
}

const TEXTS = `
let
  a = builtins.toFile "text-a" "a";
  b = builtins.toFile "text-b" "b \${a}";
  base = derivation { name = "base"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ b ]; };
in derivation { name = "top"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ base ./source.txt ]; }
`;

const CLOSURE = `
let
  build = name: script: derivation {
    inherit name;
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-c" script ];
  };
  inner = build "inner" "echo inner > $out";
  outer = build "outer" "echo \${inner} $out > $out";
in outer
`;

// The builder runs only bash itself. cp would close its standard output before it ends. Nix would
// take that for the end of the builder, and sometimes kill it.
const GRAPH = `derivation {
  name = "graph";
  system = builtins.currentSystem;
  builder = "/bin/bash";
  args = [ "-c" "source .attrs.sh; echo \\"$(<.attrs.json)\\" > \\\${outputs[out]}" ];
  __structuredAttrs = true;
  exportReferencesGraph.closure = [ outer ];
}
`;
