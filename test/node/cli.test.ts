import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { generateSecretKey } from "../../src/nix/ed25519.ts";
import { formatSecretKey } from "../../src/nix/key.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { main } from "../../src/node/cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { type CliOptions, runCli, startDaemon } from "./run-cli.ts";
import { unpackNar } from "./unpack-nar.ts";

const SAMPLE = fileURLToPath(new URL("../fixtures/sample", import.meta.url));

let dir: string;
let services: string[];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-cli-"));
  services = servicesAt(`file:${join(dir, "store")}`);
  mkdirSync(join(dir, "tree"));
  writeFileSync(join(dir, "tree", "file"), "content\n");
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const servicesAt = (address: string) => serviceFlags(address);

async function output(args: string[], options?: CliOptions): Promise<Buffer> {
  const { status, stdout, stderr } = await runCli(args, options);
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

describe("usage", () => {
  test.each([
    [],
    ["frobnicate"],
    ["--frobnicate"],
    ["import"],
    ["import", "--frobnicate", "x"],
    ["import", "--blob-service-addr"],
    ["export"],
    ["export", "a", "b"],
    ["copy"],
    ["copy", "a", "b"],
    ["daemon", "extra"],
    ["daemon", "-l", "8000"],
    ["daemon", "-l", "127.0.0.1:65536"],
    ["import", "a", "b", "--name", "x"],
    ["import", "a", "--mode", "tar"],
    ["import", "a", "--hash-algo", "sha3"],
    ["import", "a", "--mode", "git", "--hash-algo", "blake3"],
    ["import", "a", "--mode", "text", "--hash-algo", "sha1"],
    ["import", "a", "--nar-info", "b", "--name", "x"],
    ["import", "a", "--derivation", "--mode", "text"],
    ["path-info"],
    ["ls"],
    ["cat", "a", "b"],
    ["path-info", "--json-format", "xml", "a"],
    ["path-info", "--json-format", "4", "a"],
    ["import", ".", "--blob-service-addr", "bigtable://instance"],
    ["import", ".", "--path-info-service-addr", "objectstore+file:/nowhere"],
    ["import", ".", "--directory-service-addr", "objectstore+memory:/nowhere"],
    ["daemon", "--path-info-service-addr", "nix+s3://bucket"],
    ["daemon", "--blob-service-addr", "nix+https://cache.example.org"],
    ["daemon", "--directory-service-addr", "nix+https://cache.example.org"],
    ["daemon", "-l", "127.0.0.1:9104", "--path-info-service-addr", "nix+http://localhost:9104"],
    ["copy", "--no-closure", "graph.json"],
    ["copy", "--from", "nix+https://cache.example.org"],
    ["copy", "--from", "nix+https://cache.example.org", "--root", "/", "5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3"],
    ["copy", "--from", "cache.example.org", "5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3"],
    ["daemon", "-l", "127.0.0.1:9104", "--blob-service-addr", "grpc+http://localhost:9104"],
    ["daemon", "-l", "unix:/tmp/self.sock", "--path-info-service-addr", "grpc+unix:/tmp/self.sock"],
  ])("errors in %j give status 2 and one line", async (...args) => {
    const { status, stdout, stderr } = await runCli(args.flat());
    expect(status).toBe(2);
    expect(stdout).toHaveLength(0);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
  });

  test("reports a scheme that is not implemented yet", async () => {
    const { status, stderr } = await runCli(["import", "."], { env: { BLOB_SERVICE_ADDR: "objectstore+s3://bucket/prefix" } });
    expect(status).toBe(2);
    expect(stderr).toContain("objectstore+s3");
  });

  test.each([
    ["--help"],
    ["-h"],
    ["daemon", "--help"],
    ["import", "--help"],
    ["copy", "-h"],
    ["export", "--help"],
    ["path-info", "-h"],
    ["ls", "--help"],
    ["cat", "-h"],
  ])("is printed for %j %j", async (...args) => {
    expect((await output(args)).toString()).toMatch(/^Usage: tvix-store-web /);
  });

  test("prints the version", async () => {
    expect((await output(["--version"])).toString()).toMatch(/^tvix-store-web \d+\.\d+\.\d+\n$/);
  });
});

describe("import and export", () => {
  test("keep a tree in an embedded store", async () => {
    const paths = (await output(["import", ...services, join(dir, "tree"), join(dir, "tree", "file")])).toString().split("\n");
    expect(paths).toEqual([
      expect.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-tree$/),
      expect.stringMatching(/^\/nix\/store\/[0-9a-z]{32}-file$/),
      "",
    ]);
    const nar = await output(["export", ...services, paths[1] as string]);
    expect(nar.subarray(8, 21).toString()).toBe("nix-archive-1");
    expect(nar.includes("content\n")).toBe(true);
    const hashPart = paths[1]?.slice(11, 43) as string;
    expect(await output(["export", ...services, hashPart])).toEqual(nar);
    const misnamed = await runCli(["export", ...services, `/nix/store/${hashPart}-other`]);
    expect(misnamed.status).toBe(1);
    expect(misnamed.stdout).toHaveLength(0);
  });

  test.each([
    ["git", "sha1", "fixed:git:sha1:"],
    ["git", undefined, "fixed:git:sha256:"],
    ["nar", "blake3", "fixed:r:blake3:"],
  ])("by --mode %s --hash-algo %s, keep a content address that tvix's messages can't hold", async (mode, algorithm, prefix) => {
    const tree = join(dir, "tree");
    const flags = ["--mode", mode, ...(algorithm === undefined ? [] : ["--hash-algo", algorithm])];
    const path = (await output(["import", ...services, ...flags, tree])).toString().trim();
    const json = JSON.parse((await output(["path-info", ...services, "--json", path])).toString());
    expect(json[0].ca).toContain(prefix);
    const version2 = JSON.parse((await output(["path-info", ...services, "--json", "--json-format", "2", path])).toString());
    expect(version2.info[path.slice(11)].ca).toMatchObject({ method: mode });
    // The same works through a daemon.
    const daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, `data-${prefix.replaceAll(":", "-")}`)]);
    try {
      const remote = servicesAt(`grpc+${daemon.address}`);
      expect((await output(["import", ...remote, ...flags, tree])).toString().trim()).toBe(path);
      expect(JSON.parse((await output(["path-info", ...remote, "--json", path])).toString())).toEqual(json);
    } finally {
      await daemon.stop();
    }
  });

  test.each(["path-info-1.json", "path-info-2.json"])("read the path infos of Nix 2.34 in %s, and print the same", async (file) => {
    const cases = join(import.meta.dirname, "../fixtures/nix-2.34");
    const root = join(dir, file);
    mkdirSync(join(root, "nix/store"), { recursive: true });
    for (const name of readdirSync(join(cases, "cache")).filter((name) => name.endsWith(".narinfo"))) {
      const narInfo = parseNarInfo(readFileSync(join(cases, "cache", name), "utf8"));
      unpackNar(readFileSync(join(cases, "cache", narInfo.url)), join(root, narInfo.storePath));
    }
    const text = readFileSync(join(cases, file), "utf8");
    const store = servicesAt(`file:${join(root, "store")}`);
    const paths = (await output(["copy", ...store, "--root", root, "-"], { stdin: text })).toString().trim().split("\n");
    const format = file === "path-info-1.json" ? "1" : "2";
    const said = await output(["path-info", ...store, "--json", "--json-format", format, ...paths]);
    const unknown = (key: string, value: unknown) => (key === "registrationTime" ? null : key === "ultimate" ? false : value);
    expect(JSON.parse(said.toString())).toEqual(JSON.parse(text, unknown));
    // Another store can read them in format 3.
    const version3 = await output(["path-info", ...store, "--json-format", "3", ...paths]);
    const again = servicesAt(`file:${join(root, "again")}`);
    const copied = await output(["copy", ...again, "--root", root, "-"], { stdin: version3 });
    expect(copied.toString().trim().split("\n").sort()).toEqual(paths.sort());
  });

  test("give a text with references its store path, and print both", async () => {
    const [tree, text] = [join(dir, "tree"), join(dir, "text")];
    const path = (await output(["import", ...services, tree])).toString().trim();
    writeFileSync(text, `see ${path}`);
    const flags = ["--mode", "text", "--name", "note.txt", "--reference", path];
    const note = (await output(["import", ...services, ...flags, text])).toString().trim();
    expect(note).toMatch(/-note\.txt$/);
    expect((await output(["path-info", ...services, note])).toString()).toBe(`${note}\n`);
    expect((await output(["path-info", ...services, "-r", note, path])).toString()).toBe(`${path}\n${note}\n`);
    const json = JSON.parse((await output(["path-info", ...services, "--json", note])).toString());
    expect(json).toEqual([
      {
        path: note,
        narHash: expect.stringMatching(/^sha256-/),
        narSize: 168,
        references: [path],
        ca: expect.stringMatching(/^text:sha256:/),
      },
    ]);
    const { path: _, ...facts } = json[0];
    const object = await output(["path-info", ...services, "--json-format", "object", note.slice(11)]);
    expect(JSON.parse(object.toString())).toEqual({ [note]: facts });
  });

  test("list a store path, and print its files", async () => {
    mkdirSync(join(dir, "tree", "sub"));
    writeFileSync(join(dir, "tree", "sub", "more"), "more\n");
    const path = (await output(["import", ...services, join(dir, "tree")])).toString().trim();
    const ls = async (...args: string[]) => (await output(["ls", ...services, ...args])).toString();
    expect(await ls(path)).toBe("./file\n./sub\n");
    expect(await ls("-lR", path.slice(11))).toBe(
      [
        ["-r--r--r--", 8, "./file"],
        ["dr-xr-xr-x", 0, "./sub"],
        ["-r--r--r--", 5, "./sub/more"],
      ]
        .map(([mode, size, name]) => `${mode} ${String(size).padStart(20)} ${name}\n`)
        .join(""),
    );
    expect(await ls(`${path.slice(11, 43)}/sub/`)).toBe("./more\n");
    expect((await output(["cat", ...services, `${path}/sub/more`])).toString()).toBe("more\n");
    for (const inner of ["", "/sub", "/sub/none", "/file/x"]) {
      expect((await runCli(["cat", ...services, `${path}${inner}`])).status).toBe(1);
    }
    expect((await runCli(["ls", ...services, `${path}/none`])).status).toBe(1);
  });

  test("import a NAR under the path of its NARInfo file, from a file and from standard input", async () => {
    const names = readdirSync(SAMPLE).filter((file) => file.endsWith(".narinfo"));
    const read = (file: string) => readFileSync(join(SAMPLE, file), "utf8");
    const referring = names.find((file) => /^References: \S/m.test(read(file))) as string;
    const early = await runCli(["import", ...services, "--nar-info", join(SAMPLE, referring), "/dev/null"]);
    expect([early.status, early.stdout.length]).toEqual([1, 0]);
    expect(early.stderr).toContain("is not in the store");
    const name = names.find((file) => /^References: $/m.test(read(file))) as string;
    const text = read(name);
    const nar = join(SAMPLE, /^URL: (.*)$/m.exec(text)?.[1] as string);
    const [, path] = /^StorePath: (.*)$/m.exec(text) ?? [];
    const flags = ["--nar-info", join(SAMPLE, name)];
    expect((await output(["import", ...services, ...flags, nar])).toString()).toBe(`${path}\n`);
    expect((await output(["import", ...servicesAt("memory:"), ...flags, "-"], { stdin: readFileSync(nar) })).toString()).toBe(
      `${path}\n`,
    );
    expect(await output(["export", ...services, path as string])).toEqual(readFileSync(nar));
    const wrong = await runCli(["import", ...servicesAt("memory:"), ...flags, "-"], { stdin: "no NAR" });
    expect([wrong.status, wrong.stdout.length]).toEqual([1, 0]);
  });

  test("take addresses from flags, or else from the environment", async () => {
    const env = {
      BLOB_SERVICE_ADDR: `objectstore+file://${join(dir, "blobs")}`,
      DIRECTORY_SERVICE_ADDR: `file:${join(dir, "meta")}`,
      PATH_INFO_SERVICE_ADDR: "bigtable://not-used",
    };
    const flags = ["--path-info-service-addr", `file:${join(dir, "meta")}`];
    const path = (await output(["import", join(dir, "tree"), ...flags], { env })).toString().trim();
    expect(readdirSync(join(dir, "blobs", "blobs", "b3"))).toHaveLength(1);
    expect(existsSync(join(dir, "meta", "blobs"))).toBe(false);
    expect((await output(["export", path, ...flags], { env })).includes("content\n")).toBe(true);
  });

  test("keep blobs and directories in an object store", async () => {
    const objects = `objectstore+file:${join(dir, "object-store")}`;
    const flags = serviceFlags(objects, objects, `file:${join(dir, "object-store-paths")}`);
    mkdirSync(join(dir, "tree", "deep", "er"), { recursive: true });
    writeFileSync(join(dir, "tree", "deep", "er", "file"), "deep content\n");
    const path = (await output(["import", ...flags, join(dir, "tree")])).toString().trim();
    expect((await output(["import", ...services, join(dir, "tree")])).toString().trim()).toBe(path);
    expect(readdirSync(join(dir, "object-store")).sort()).toEqual(["blobs", "chunks", "dirs", "tmp"]);
    expect(readdirSync(join(dir, "object-store", "dirs", "b3"))).toHaveLength(1);
    // Each command is a process of its own, which knows nothing of the first one's directories.
    expect(await output(["export", ...flags, path])).toEqual(await output(["export", ...services, path]));
    expect(await output(["ls", "-lR", ...flags, path])).toEqual(await output(["ls", "-lR", ...services, path]));
  });

  test.each([
    ["a missing file", ["import", "/nowhere/at-all"]],
    ["a name that a store path can't have", ["import", "/tmp/sp ace"]],
    ["a device", ["import", "/dev/null"]],
    ["a directory by its bytes", ["import", "--mode", "flat", "/etc/apt"]],
    ["a derivation that is none", ["import", "--derivation", "/etc/hostname"]],
    ["a reference that is not there", ["import", "--mode", "text", "--reference", "0".repeat(32), "/etc/hostname"]],
    ["a missing NARInfo file", ["import", "--nar-info", "/nowhere/at-all", "-"]],
    ["a missing path", ["path-info", "0".repeat(32)]],
    ["a list of a missing path", ["ls", `${"0".repeat(32)}/bin`]],
    ["a list of a path that leads out", ["ls", `${"0".repeat(32)}/../x`]],
    ["a file of a missing path", ["cat", `${"0".repeat(32)}/bin`]],
    ["a missing store path", ["export", `/nix/store/${"0".repeat(32)}-missing`]],
    ["what is no store path", ["export", "missing"]],
    ["a missing graph", ["copy", "/nowhere/at-all"]],
    ["a graph that is none", ["copy", "-"]],
  ])("fail on %s with status 1 and one line", async (_, args) => {
    const { status, stdout, stderr } = await runCli([...args, ...services]);
    expect(status).toBe(1);
    expect(stdout).toHaveLength(0);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
  });

  test("fail if no daemon listens", async () => {
    const { status, stderr } = await runCli(["import", ...servicesAt("grpc+http://127.0.0.1:1"), join(dir, "tree")]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
  });

  test("end if the reader of their output goes away", async () => {
    const path = (await output(["import", ...services, join(dir, "tree")])).toString().trim();
    const stdout = new Writable({
      write: (_part, _encoding, done) => done(Object.assign(new Error("write EPIPE"), { code: "EPIPE" })),
    });
    stdout.on("error", () => {});
    const quiet = new Writable({ write: (_part, _encoding, done) => done() });
    const context = { stdin: process.stdin, stdout, stderr: quiet, env: {}, signal: new AbortController().signal };
    expect(await main(["export", ...services, path], context)).toBe(1);
  });
});

describe("daemon", () => {
  test("keeps its content over restarts, and listens on TCP and on a Unix socket", async () => {
    const data = ["--data-dir", join(dir, "data")];
    const first = await startDaemon(["-l", "127.0.0.1:0", ...data]);
    expect(first.address).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    const remote = servicesAt(`grpc+${first.address}`);
    const path = (await output(["import", ...remote, join(dir, "tree")])).toString().trim();
    expect(path).toBe((await output(["import", ...services, join(dir, "tree")])).toString().trim());
    const second = await runCli(["daemon", "-l", "127.0.0.1:0", ...data]);
    expect(second.status).toBe(1);
    expect(await first.stop()).toBe(0);

    const socket = join(dir, "socket");
    const again = await startDaemon(["-l", `unix:${socket}`, ...data]);
    expect(again.address).toBe(`unix:${socket}`);
    const nar = await output(["export", ...servicesAt(`grpc+unix:${socket}`), path]);
    expect(nar).toEqual(await output(["export", ...services, path]));
    expect(await again.stop()).toBe(0);
  });

  test("preloads a binary cache, and serves the viewer", async () => {
    const viewer = join(dir, "viewer");
    mkdirSync(viewer);
    writeFileSync(join(viewer, "index.html"), "<p>viewer");
    const args = ["-l", "127.0.0.1:0", ...servicesAt("memory:"), "--preload", SAMPLE, "--viewer", viewer];
    const daemon = await startDaemon(args);
    const page = await fetch(`${daemon.address}/`);
    expect(await page.text()).toBe("<p>viewer");
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    const cached = await fetch(`${daemon.address}/`, { headers: { "if-none-match": page.headers.get("etag") as string } });
    expect(cached.status).toBe(304);
    const missing = await fetch(`${daemon.address}/missing`, { method: "POST", body: "x".repeat(100_000) });
    expect(missing.status).toBe(404);
    const name = readdirSync(SAMPLE).find((file) => file.endsWith(".narinfo")) as string;
    const nar = await output(["export", ...servicesAt(`grpc+${daemon.address}`), name.slice(0, 32)]);
    expect(nar.length).toBeGreaterThan(0);
    expect(await daemon.stop()).toBe(0);
  });

  test.each([
    ["a viewer that is not there", ["--viewer", "/nowhere"]],
    ["a cache that is not there", ["--preload", "/nowhere"]],
    ["an address that is not ours", ["-l", "192.0.2.1:1"]],
  ])("fails on %s", async (_, args) => {
    const { status, stderr } = await runCli(["daemon", "-l", "127.0.0.1:0", ...servicesAt("memory:"), ...args]);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]+\n$/);
  });

  test("preloads only caches of its own store directory", async () => {
    const hashPart = "m51r8pw89afxi119diyi9alqnn300a6m";
    const text = readFileSync(join(SAMPLE, `${hashPart}.narinfo`), "utf8");
    const url = /^URL: (.*)$/m.exec(text)?.[1] as string;
    mkdirSync(join(dir, "cache", "nar"), { recursive: true });
    writeFileSync(join(dir, "cache", `${hashPart}.narinfo`), text.replace("StorePath: /nix/store/", "StorePath: /opt/store/"));
    writeFileSync(join(dir, "cache", url), readFileSync(join(SAMPLE, url)));
    const args = ["-l", "127.0.0.1:0", ...servicesAt("memory:"), "--preload", join(dir, "cache")];
    const daemon = await startDaemon([...args, "--store-dir", "/opt/store"]);
    const response = await fetch(`${daemon.address}/${hashPart}.narinfo`);
    expect(await response.text()).toMatch(/^StorePath: \/opt\/store\/m51/);
    expect(await daemon.stop()).toBe(0);
    expect((await runCli(["daemon", ...args])).status).toBe(1);
  });

  test("refuses a signing key whose halves belong to two keys, and does not print it", async () => {
    const [one, other] = [await generateSecretKey("key-1"), await generateSecretKey("key-1")];
    const text = formatSecretKey({ ...one, publicBytes: other.publicBytes });
    const file = join(dir, "key");
    writeFileSync(file, `${text}\n`);
    const args = ["daemon", "-l", "192.0.2.1:1", ...servicesAt("memory:"), "--signing-key", file];
    const { status, stderr } = await runCli(args);
    expect(status).toBe(1);
    expect(stderr).toMatch(/^tvix-store-web: [^\n]*public half[^\n]*\n$/);
    expect(stderr).not.toContain(text.slice(6, 30));
  });
});
