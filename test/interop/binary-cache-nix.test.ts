import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningDaemon, startDaemon } from "../node/run-cli.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { nixPathInfos, type ShownPathInfo } from "./nix-path-infos.ts";

/**
 * Real Nix uploads to and downloads from the daemon's binary cache. The results are compared with a
 * `file://` cache of the same paths.
 */

const SAMPLE = new URL("../fixtures/sample", import.meta.url).href;
/** A path with a closure that includes a self-reference and a source. Each path is signed. */
const DEMO = "/nix/store/lz9pmfjncd98r5n5n2svwg8qzg5zns5r-hello-tvix-demo-1.0";
/**
 * Arguments for the derivation of this path. Without the flag Nix would take the derivation's
 * outputs.
 */
const DERIVATION = ["--derivation", "/nix/store/hl2gjvf23xzf8wcvhidvw7a46jkfyfcn-hello-tvix-demo-1.0.drv"];

let dir: string;
let key: string;
const daemons: RunningDaemon[] = [];
/** Store that copies to the daemon. Nix remembers in it what it has uploaded. */
let uploader: string;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-cache-nix-"));
  key = (await readFile(new URL(`${SAMPLE}/public-key`), "utf8")).trim();
  uploader = join(dir, "uploader");
  for (const path of [[DEMO], DERIVATION])
    await nix(["nix", "copy", "--from", SAMPLE, "--option", "trusted-public-keys", key, ...path], { dir: uploader });
}, 120_000);

afterAll(async () => {
  await Promise.all(daemons.map((daemon) => daemon.stop()));
  for (const name of ["uploader", "reader"]) await removeNixStore(join(dir, name));
  await rm(dir, { recursive: true, force: true });
});

async function start(data: string, ...args: string[]): Promise<RunningDaemon> {
  const daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, data), ...args]);
  daemons.push(daemon);
  return daemon;
}

/** Runs a command that only reads a cache, and returns its output as text. */
const shown = async (args: [string, ...string[]], store: string): Promise<string> =>
  (await nix(["nix", ...args], { dir: store })).toString();

describe.each(["xz", "zstd", "gzip", "bzip2", "none"])("copied with compression %s", (compression) => {
  test("a closure is the same as in a file cache, with and without Nix's cached lookups", { timeout: 180_000 }, async () => {
    const data = `data-${compression}`;
    let daemon = await start(data);
    const port = new URL(daemon.address).port;
    for (const path of [[DEMO], DERIVATION])
      await nix(["nix", "copy", "--to", `${daemon.address}?compression=${compression}`, ...path], { dir: uploader });
    // The facts that Nix remembers must still be right after a restart.
    await daemon.stop();
    daemon = await start(data, "-l", `127.0.0.1:${port}`);

    for (const memory of ["warm", "empty"] as const) {
      const reader = memory === "warm" ? uploader : join(dir, `reader-${compression}`);
      const cache = daemon.address;
      for (const path of [[DEMO], DERIVATION]) {
        const [ours, theirs] = await Promise.all(
          [cache, SAMPLE].map(async (store) => contentOf(await nixPathInfos(["--store", store, "-r", ...path], reader))),
        );
        expect(ours).toEqual(theirs);
        // A different URL would show that Nix did not use its cached lookups.
        const [info] = await nixPathInfos(["--store", cache, ...path], reader);
        expect(info?.url).toMatch(memory === "warm" ? /^nar\/[0-9a-z]{52}\.nar/ : /^nar\/tvix-castore\//);
      }
      for (const form of [[], ["--json"]]) {
        const [a, b] = await Promise.all(
          [cache, SAMPLE].map((store) => shown(["store", "ls", "-lR", ...form, "--store", store, DEMO], reader)),
        );
        expect(a).toBe(b);
      }
      const file = `${DEMO}/bin/hello-demo`;
      const files = (await shown(["store", "ls", "-R", "--store", SAMPLE, DEMO], reader)).split("\n").filter(Boolean);
      expect(files.length, file).toBeGreaterThan(1);
      const verify = ["store", "verify", "--sigs-needed", "1", "-r", "--option", "trusted-public-keys", key, DEMO] as const;
      await shown([...verify, "--store", cache], reader);

      const target = join(dir, "reader");
      const trust = ["--option", "trusted-public-keys", key, "--option", "require-sigs", "true"];
      await nix(["nix", "copy", "--from", cache, "--to", `local?root=${target}`, ...trust, DEMO], { dir: reader });
      await nix(["nix-store", "--verify-path", DEMO], { dir: target });
      expect(await nixLine(["nix-store", "--query", "--requisites", DEMO], { dir: target })).toBe(
        await nixLine(["nix-store", "--query", "--requisites", DEMO], { dir: uploader }),
      );
      await removeNixStore(target);
      if (memory === "empty") await removeNixStore(reader);
    }
    await daemon.stop();
  });
});

/** Facts that must be the same in both kinds of cache. Each cache has its own URLs for NARs. */
function contentOf(infos: readonly ShownPathInfo[]): ShownPathInfo[] {
  return infos.map(({ url: _url, downloadHash: _hash, downloadSize: _size, compression: _compression, ...rest }) => rest);
}

test("store cat prints a file as from a file cache", { timeout: 60_000 }, async () => {
  const daemon = await start("data-none");
  const [file] = (await shown(["store", "ls", "-R", "--store", SAMPLE, DEMO], uploader))
    .split("\n")
    .filter((line) => /\.\/.*\//.test(line));
  expect(file).toBeDefined();
  const path = `${DEMO}/${file?.slice(2)}`;
  const [a, b] = await Promise.all(
    [daemon.address, SAMPLE].map((store) => shown(["store", "cat", "--store", store, path], uploader)),
  );
  expect(a).toBe(b);
  expect(a?.length).toBeGreaterThan(0);
  await daemon.stop();
});

test("a reader refuses an unsigned path until the daemon signs it", { timeout: 120_000 }, async () => {
  const secret = join(dir, "secret-key");
  const publicKey = join(dir, "public-key");
  await nix(["nix-store", "--generate-binary-cache-key", "daemon-1", secret, publicKey], { dir: uploader });
  await writeFile(join(dir, "input-addressed.nix"), UNSIGNED);
  const built = await nixLine(["nix-build", "--no-out-link", join(dir, "input-addressed.nix")], { dir: uploader });
  const trusted = (await readFile(publicKey, "utf8")).trim();

  for (const args of [[], ["--signing-key", secret]]) {
    const daemon = await start(`data-signed-${args.length}`, ...args);
    await nix(["nix", "copy", "--to", daemon.address, built], { dir: uploader });
    const reader = join(dir, "reader");
    const copied = nix(["nix", "copy", "--from", daemon.address, "--option", "trusted-public-keys", trusted, built], {
      dir: reader,
    });
    if (args.length === 0) await expect(copied).rejects.toThrow(/signature/);
    else await copied;
    await removeNixStore(reader);
    await daemon.stop();
  }
});

test("a build log is uploaded and downloaded", { timeout: 120_000 }, async () => {
  const daemon = await start("data-log");
  await writeFile(join(dir, "logged.nix"), UNSIGNED);
  const derivation = await nixLine(["nix-instantiate", join(dir, "logged.nix")], { dir: uploader });
  await nix(["nix-store", "--realise", derivation], { dir: uploader });
  const cache = daemon.address;
  await nix(["nix", "copy", "--to", cache, "--derivation", derivation], { dir: uploader });
  await nix(["nix", "store", "copy-log", "--to", cache, derivation], { dir: uploader });
  expect(await shown(["log", "--store", cache, derivation], uploader)).toBe("building\n");
  await daemon.stop();
});

test("a read-only daemon can be read from, and refuses uploads", { timeout: 60_000 }, async () => {
  const daemon = await start("data-none", "--read-only");
  await shown(["path-info", "--store", daemon.address, DEMO], uploader);
  await writeFile(join(dir, "another.nix"), UNSIGNED.replace("unsigned", "another"));
  const another = await nixLine(["nix-build", "--no-out-link", join(dir, "another.nix")], { dir: uploader });
  await expect(nix(["nix", "copy", "--to", daemon.address, another], { dir: uploader })).rejects.toThrow(/403/);
  await daemon.stop();
});

const UNSIGNED = `derivation {
  name = "unsigned";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  args = [ "-c" "echo building; echo content > $out" ];
}`;
