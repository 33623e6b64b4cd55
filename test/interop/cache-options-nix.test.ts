import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { COMPRESSIONS } from "../../src/compression/decompress.ts";
import { type RunningDaemon, startDaemon } from "../node/run-cli.ts";
import { isNixFrom, nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { type PlainCache, startPlainCache } from "./plain-cache.ts";

/**
 * Options of Nix's HTTP stores that change its uploads: compression of NARs and other files,
 * listings, debug information.
 */

const BUILD_ID = "0123456789abcdef0123456789abcdef01234567";

let dir: string;
let path: string;
let derivation: string;
const builder = () => ({ dir: join(dir, "builder") });

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-options-nix-"));
  await writeFile(join(dir, "x.nix"), EXPRESSION);
  derivation = await nixLine(["nix-instantiate", join(dir, "x.nix")], builder());
  path = await nixLine(["nix-build", "--no-out-link", join(dir, "x.nix")], builder());
}, 60_000);

afterAll(async () => {
  for (const store of ["builder", "reader"]) await removeNixStore(join(dir, store));
  await rm(dir, { recursive: true, force: true });
});

describe.each(COMPRESSIONS)("everything compressed with %s", (compression) => {
  const options = new URLSearchParams({
    compression,
    "narinfo-compression": compression,
    "ls-compression": compression,
    "log-compression": compression,
    "write-nar-listing": "true",
    "index-debug-info": "true",
  });
  let daemon: RunningDaemon;
  let plain: PlainCache;
  beforeAll(async () => {
    daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, `data-${compression}`)]);
    plain = await startPlainCache();
  });
  afterAll(async () => {
    await daemon.stop();
    await plain.close();
  });

  test("is accepted, and can be read with and without Nix's cached lookups", { timeout: 60_000 }, async () => {
    for (const { address } of [daemon, plain]) {
      const to = `${address}?${options}`;
      await nix(["nix", "copy", "--to", to, path], builder());
      await nix(["nix", "copy", "--to", to, "--derivation", derivation], builder());
      await nix(["nix", "store", "copy-log", "--to", to, derivation], builder());
    }
    const cache = daemon.address;
    // Nix 2.8 aborts when it reads lzma from any cache. Without cached lookups it gets uncompressed
    // NARs.
    const canRead = String(compression) !== "lzma" || (await isNixFrom(2, 34));
    for (const store of canRead ? ["builder", "reader"] : ["reader"]) {
      const run = { dir: join(dir, store) };
      await nix(["nix", "store", "verify", "--no-trust", "--store", cache, path], run);
      expect(await nixLine(["nix", "store", "cat", "--store", cache, `${path}/text`], run)).toBe("content");
      expect(await nixLine(["nix", "log", "--store", cache, derivation], run)).toBe("a log line");
    }
    await removeNixStore(join(dir, "reader"));

    const address = `/debuginfo/${BUILD_ID}.debug`;
    const answer = await fetch(cache + address);
    const { archive, member }: { archive: string; member: string } = JSON.parse(await answer.text());
    expect(member).toBe(JSON.parse(plain.files.get(address)?.toString() ?? "").member);
    // A debugger downloads the NAR from this address.
    expect((await fetch(new URL(archive, answer.url), { method: "HEAD" })).status).toBe(200);
    // Every address of a plain server exists here too. The files that gzip makes differ from one
    // second to the next.
    const files = [...plain.files.keys()].filter((file) => file !== "/nix-cache-info" && !file.startsWith("/nar/"));
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) expect([file, (await fetch(cache + file)).status]).toEqual([file, 200]);
  });
});

test("a compression that the daemon can't read is refused at once, with one line", { timeout: 60_000 }, async () => {
  const daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, "data-refused")]);
  // This is the format of Unix's compress(1). Nix can write it, and curl can't read it.
  const copied = nix(["nix", "copy", "--to", `${daemon.address}?compression=compress`, path], builder());
  await expect(copied).rejects.toThrow(/neither a NAR nor compressed with|the compression "compress" is not supported/);
  const log = nix(["nix", "store", "copy-log", "--to", `${daemon.address}?log-compression=compress`, derivation], builder());
  // Nix 2.8 uploads logs uncompressed.
  if (await isNixFrom(2, 34)) await expect(log).rejects.toThrow(/Content-Encoding compress/);
  else await log;
  // The daemon does not read uploaded listings.
  await nix(["nix", "copy", "--to", `${daemon.address}?ls-compression=compress&write-nar-listing=true`, path], builder());
  await daemon.stop();
});

const EXPRESSION = `derivation {
  name = "options";
  system = builtins.currentSystem;
  builder = "/bin/sh";
  PATH = "/usr/bin:/bin";
  args = [ "-e" "-c" ''
    echo a log line
    mkdir -p $out/lib/debug/.build-id/${BUILD_ID.slice(0, 2)}
    echo content > $out/text
    echo debug > $out/lib/debug/.build-id/${BUILD_ID.slice(0, 2)}/${BUILD_ID.slice(2)}.debug
  '' ];
}
`;
