import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { makeTree, TREE_KINDS } from "../fixtures/trees.ts";
import { type RunningDaemon, runCli, startDaemon } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { NESTED_CLOSURE } from "./nix-expressions.ts";
import {
  mountSnix,
  NAR_BRIDGE,
  SNIX_STORE,
  type SnixServer,
  sayWhatIsMissing,
  snixStore,
  startSnix,
  startSnixStore,
} from "./snix-programs.ts";

/**
 * Tests with real programs of snix over gRPC: snix-store as a server and as a client, and
 * nar-bridge. `SNIX_STORE` and `NAR_BRIDGE` are the paths of the programs.
 */
sayWhatIsMissing();

// Ten thousand files take a minute on a busy machine.
const TIMEOUT = { timeout: 300_000 };

let dir: string;
let nixDir: string;
const ending: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-snix-"));
  nixDir = join(dir, "nix");
});
afterAll(async () => {
  await removeNixStore(nixDir);
  await rm(dir, { recursive: true, force: true });
});
/** Ends the programs that the test started. */
afterEach(async () => {
  for (const end of ending.splice(0).reverse()) await end();
});

async function freshDir(name: string): Promise<string> {
  return mkdtemp(join(dir, `${name}-`));
}

function fileServices(at: string): string[] {
  return serviceFlags(`objectstore+file://${at}/blobs`, `redb://${at}/directories.redb`, `redb://${at}/pathinfo.redb`);
}

/** Starts a snix-store daemon that stores on disk. Returns it and the flags for its address. */
async function snixDaemon(): Promise<{ server: SnixServer; flags: string[] }> {
  const server = await startSnixStore(fileServices(await freshDir("snix")));
  ending.push(() => server.end());
  return { server, flags: serviceFlags(`grpc+http://${server.address}`) };
}

async function ourDaemon(...args: string[]): Promise<{ daemon: RunningDaemon; flags: string[] }> {
  const data = args.length > 0 ? [] : ["--data-dir", await freshDir("data")];
  const daemon = await startDaemon(["-l", "127.0.0.1:0", ...data, ...args]);
  ending.push(() => daemon.stop());
  return { daemon, flags: serviceFlags(`grpc+${daemon.address}`) };
}

async function cli(args: readonly string[], stdin?: string): Promise<Buffer> {
  const { status, stdout, stderr } = await runCli(args, { stdin });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

/** Paths of all files except our temporary ones. */
async function files(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort();
}

const line = (bytes: Buffer): string => bytes.toString().trimEnd();

/**
 * Makes a tree with everything that affects digests: depth, empty directories and files,
 * executables, symlinks.
 */
async function someTree(name: string): Promise<string> {
  const tree = join(await freshDir("tree"), name);
  await mkdir(join(tree, "bin/deep/er"), { recursive: true });
  await mkdir(join(tree, "empty/directory"), { recursive: true });
  await writeFile(join(tree, "bin/tool"), `#!/bin/sh\necho ${name}\n`, { mode: 0o755 });
  await writeFile(join(tree, "bin/deep/er/data"), Buffer.alloc(3_000_000, `large ${name} `));
  await writeFile(join(tree, "bin/deep/nothing"), "");
  execFileSync("ln", ["-s", "bin/tool", join(tree, "link")]);
  return tree;
}

const dump = (tree: string): Promise<Buffer> => nix(["nix-store", "--dump", tree], { dir: nixDir });

async function expectExport(flags: readonly string[], path: string, tree: string): Promise<void> {
  expect((await cli(["export", ...flags, path])).equals(await dump(tree))).toBe(true);
}

async function buildClosure(): Promise<{ built: string; closure: string[]; json: string }> {
  const source = join(await freshDir("closure"), "default.nix");
  await writeFile(source, NESTED_CLOSURE);
  const built = await nixLine(["nix-build", "--no-out-link", source], { dir: nixDir });
  const closure = (await nixLine(["nix-store", "--query", "--requisites", built], { dir: nixDir })).split("\n");
  const json = (await nix(["nix", "path-info", "--json", "--recursive", built], { dir: nixDir })).toString();
  return { built, closure, json };
}

describe.skipIf(!SNIX_STORE)("snix-store as the server of our command line", () => {
  // snix can handle the NAR of the tree with 100 levels.
  test.each(TREE_KINDS)("import, export, ls and path-info: the tree %s", TIMEOUT, async (kind) => {
    const { flags } = await snixDaemon();
    const tree = await makeTree(kind, await freshDir("trees"));
    const path = line(await cli(["import", ...flags, tree]));
    expect(path).toBe(await nixLine(["nix-store", "--add", tree], { dir: nixDir }));
    await expectExport(flags, path, tree);
    const listed = await cli(["ls", "-lR", ...flags, path]);
    const { flags: own } = await ourDaemon();
    await cli(["import", ...own, tree]);
    expect(listed.equals(await cli(["ls", "-lR", ...own, path]))).toBe(true);
    expect(await cli(["path-info", "--json", ...flags, path])).toEqual(await cli(["path-info", "--json", ...own, path]));
  });

  test("our import gives the same digests as snix's", TIMEOUT, async () => {
    const { flags } = await snixDaemon();
    const tree = await someTree("same");
    const path = line(await cli(["import", ...flags, tree]));
    const other = await snixDaemon();
    expect(await snixStore("import", ...other.flags, tree)).toBe(path);
    // The copy does not encode the directories anew, and has all content.
    expect(line(await cli(["copy", ...flags, "--from", other.flags[1] as string, path]))).toBe(path);
    await expectExport(other.flags, path, tree);
    expect(line(await cli(["cat", ...flags, `${path}/bin/tool`]))).toContain("echo same");
  });

  test("copy FILE imports a closure of Nix there", TIMEOUT, async () => {
    const { flags } = await snixDaemon();
    const { built, closure, json } = await buildClosure();
    const copied = line(await cli(["copy", ...flags, "-", "--root", nixDir], json)).split("\n");
    expect([...copied].sort()).toEqual([...closure].sort());
    expect(line(await cli(["path-info", "-r", ...flags, built])).split("\n")).toEqual(copied);
    for (const path of closure) await expectExport(flags, path, join(nixDir, path));
  });

  test("copy --from works in both directions, and transfers nothing the second time", TIMEOUT, async () => {
    const { flags, server } = await snixDaemon();
    const own = `file:${await freshDir("embedded")}`;
    const tree = await someTree("both-ways");
    const path = line(await cli(["import", ...serviceFlags(own), tree]));
    // Our store has documented sizes, so the copy encodes its directories anew.
    for (let i = 0; i < 2; i++) expect(line(await cli(["copy", ...flags, "--from", own, path]))).toBe(path);
    await expectExport(flags, path, tree);
    const back = `file:${await freshDir("back")}`;
    const theirs = `grpc+http://${server.address}`;
    for (let i = 0; i < 2; i++) expect(line(await cli(["copy", ...serviceFlags(back), "--from", theirs, path]))).toBe(path);
    await expectExport(serviceFlags(back), path, tree);
  });

  test("a missing path is reported", TIMEOUT, async () => {
    const { flags } = await snixDaemon();
    const run = await runCli(["export", ...flags, "00bgd045z0d4icpbc2yyz4gx48ak44la"]);
    expect(run.status).toBe(1);
    expect(run.stderr).toContain("is not in the store");
  });
});

describe.skipIf(!SNIX_STORE)("snix-store as a client of our daemon", () => {
  test("import", TIMEOUT, async () => {
    const { flags } = await ourDaemon();
    const tree = await someTree("from-snix");
    const path = await snixStore("import", ...flags, tree);
    expect(path).toBe(await nixLine(["nix-store", "--add", tree], { dir: nixDir }));
    await expectExport(flags, path, tree);
  });

  test.skipIf(!existsSync("/dev/fuse"))(
    "mount shows trees that snix-store imported, and trees that we imported",
    TIMEOUT,
    async () => {
      const { flags } = await ourDaemon();
      const [theirs, ours] = [await someTree("theirs"), await someTree("ours")];
      const paths = [await snixStore("import", ...flags, theirs), line(await cli(["import", ...flags, ours]))];
      const mountpoint = await freshDir("mount");
      const mounted = await mountSnix(flags, mountpoint);
      ending.push(
        () => mounted.end(),
        async () => execFileSync("umount", ["-l", mountpoint]),
      );
      while ((await readdir(mountpoint)).length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      expect((await readdir(mountpoint)).sort()).toEqual(paths.map((path) => basename(path)).sort());
      for (const [i, tree] of [theirs, ours].entries()) {
        const at = join(mountpoint, basename(paths[i] as string));
        expect((await dump(at)).equals(await dump(tree))).toBe(true);
      }
    },
  );
});

describe.skipIf(!NAR_BRIDGE)("nar-bridge in front of our daemon", () => {
  async function bridge(flags: readonly string[]): Promise<string> {
    const server = await startSnix(NAR_BRIDGE ?? "", ["--otlp=false", ...flags]);
    ending.push(() => server.end());
    return `http://${server.address}`;
  }

  test("nix copy works in both directions", TIMEOUT, async () => {
    const { flags } = await ourDaemon();
    const cache = await bridge(flags);
    const { built, closure } = await buildClosure();
    // nar-bridge keeps NARs uncompressed.
    await nix(["nix", "copy", "--to", `${cache}?compression=none`, built], { dir: nixDir });
    for (const path of closure) await expectExport(flags, path, join(nixDir, path));
    const reader = await freshDir("reader");
    await nix(["nix", "copy", "--from", cache, "--no-check-sigs", built], { dir: reader });
    await nix(["nix-store", "--verify-path", ...closure], { dir: reader });
    await removeNixStore(reader);
  });

  test("a tree of ours can be read through it, whole and in parts", TIMEOUT, async () => {
    const { flags } = await ourDaemon();
    const cache = await bridge(flags);
    const tree = await someTree("bridged");
    const path = line(await cli(["import", ...flags, tree]));
    const narInfo = await (await fetch(`${cache}/${path.slice(11, 43)}.narinfo`)).text();
    const url = /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
    const headers = { "accept-encoding": "identity" };
    const nar = Buffer.from(await (await fetch(`${cache}/${url}`, { headers })).arrayBuffer());
    expect(nar.equals(await dump(tree))).toBe(true);
    for (const [from, to] of [
      [0, 99],
      [1000, 1_000_000],
      [nar.length - 10, nar.length - 1],
    ] as const) {
      const part = await fetch(`${cache}/${url}`, { headers: { ...headers, range: `bytes=${from}-${to}` } });
      expect(part.status).toBe(206);
      expect(nar.subarray(from, to + 1).equals(new Uint8Array(await part.arrayBuffer()))).toBe(true);
    }
  });
});

describe.skipIf(!SNIX_STORE)("our daemon in front of snix-store", () => {
  test("nix copy works in both directions", TIMEOUT, async () => {
    const { flags: behind } = await snixDaemon();
    const { daemon } = await ourDaemon(...behind);
    const { built, closure } = await buildClosure();
    await nix(["nix", "copy", "--to", daemon.address, built], { dir: nixDir });
    for (const path of closure) await expectExport(behind, path, join(nixDir, path));
    const reader = await freshDir("reader");
    await nix(["nix", "copy", "--from", daemon.address, "--no-check-sigs", built], { dir: reader });
    await nix(["nix-store", "--verify-path", ...closure], { dir: reader });
    await removeNixStore(reader);
  });
});

describe.skipIf(!SNIX_STORE)("one blob directory for both programs", () => {
  test("snix-store reads what we wrote", TIMEOUT, async () => {
    const blobs = await freshDir("blobs");
    const tree = await someTree("shared");
    const embedded = `file:${await freshDir("rest")}`;
    const flags = serviceFlags(`objectstore+file:${blobs}`, embedded, embedded);
    const path = line(await cli(["import", ...flags, tree]));
    const before = await files(blobs);
    expect(before.length).toBeGreaterThan(4);
    const at = await freshDir("snix");
    const server = await startSnixStore(
      serviceFlags(`objectstore+file://${blobs}`, `redb://${at}/directories.redb`, `redb://${at}/pathinfo.redb`),
    );
    ending.push(() => server.end());
    const there = serviceFlags(`grpc+http://${server.address}`);
    // snix writes only directories and a path info. The blobs exist, and it writes none of them
    // again.
    expect(await snixStore("import", ...there, tree)).toBe(path);
    // The entry of the empty blob is an exception, because we don't keep one.
    expect((await files(blobs)).filter((path) => !path.includes("/af1349b9"))).toEqual(before);
    await expectExport(there, path, tree);
  });

  test("we read what snix-store wrote, and write beside it", TIMEOUT, async () => {
    const at = await freshDir("snix");
    const server = await startSnixStore(fileServices(at));
    ending.push(() => server.end());
    const there = `grpc+http://${server.address}`;
    const tree = await someTree("theirs-shared");
    const path = await snixStore("import", ...serviceFlags(there), tree);
    const flags = serviceFlags(`objectstore+file:${at}/blobs`, there, there);
    await expectExport(flags, path, tree);
    // We write new blobs, with directories that snix can read.
    const another = await someTree("another");
    const added = line(await cli(["import", ...flags, another]));
    await expectExport(serviceFlags(there), added, another);
    expect(await snixStore("import", ...serviceFlags(there), another)).toBe(added);
  });
});
