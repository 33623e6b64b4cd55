import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { derivationsFromJson } from "../../src/nix/derivation-from-json.ts";
import { derivationToJson, formatDerivationJson } from "../../src/nix/derivation-json.ts";
import { derivationPath } from "../../src/nix/derivation-paths.ts";
import { formatStorePath } from "../../src/nix/store-path.ts";
import { PATH_INFO_SCHEMAS, schemaErrors } from "../nix/nix-schemas.ts";
import { type RunningDaemon, runCli, startDaemon } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { isNixFrom, nixLine, removeNixStore } from "../setup/tools.ts";

/** Compares content addresses and JSON formats of newer versions of Nix with the real program. */

const isCurrent = await isNixFrom(2, 34);
/** Must come before the subcommand: Nix needs the feature when it reads `--hash-algo blake3`. */
const FEATURES = [
  "--option",
  "experimental-features",
  "nix-command git-hashing blake3-hashes ca-derivations dynamic-derivations",
] as const;

let dir: string;
let daemon: RunningDaemon;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-current-nix-"));
  daemon = await startDaemon(["-l", "127.0.0.1:0", "--data-dir", join(dir, "data")]);
  await mkdir(join(dir, "tree/a/empty"), { recursive: true });
  await writeFile(join(dir, "tree/a/file"), "file");
  await writeFile(join(dir, "tree/a.run"), "#!/bin/sh\n");
  await chmod(join(dir, "tree/a.run"), 0o755);
  await symlink("a/file", join(dir, "tree/link"));
}, 120_000);

afterAll(async () => {
  await daemon.stop();
  for (const name of ["writer", "reader"]) await removeNixStore(join(dir, name));
  await rm(dir, { recursive: true, force: true });
});

const inWriter = (program: string, ...args: string[]) => nixLine([program, ...FEATURES, ...args], { dir: join(dir, "writer") });
const inReader = (program: string, ...args: string[]) => nixLine([program, ...FEATURES, ...args], { dir: join(dir, "reader") });

async function cli(...args: string[]): Promise<string> {
  const services = serviceFlags(`grpc+${daemon.address}`);
  const { status, stdout, stderr } = await runCli([...args, ...services]);
  expect([args, status, stderr]).toEqual([args, 0, ""]);
  return stdout.toString().trim();
}

/** Nix's output without the facts that we don't know. */
function known(json: string): unknown {
  return JSON.parse(json, (key, value: unknown) => (key === "registrationTime" ? null : key === "ultimate" ? false : value));
}

describe.runIf(isCurrent)("with Nix 2.34 or later", { timeout: 120_000 }, () => {
  test.each([
    ["git", "sha1", "tree"],
    ["git", "sha256", "tree"],
    ["git", "sha1", "tree/a.run"],
    ["git", "sha1", "tree/link"],
    ["nar", "blake3", "tree"],
    ["flat", "blake3", "tree/a/file"],
  ])("a path by %s %s is uploaded and downloaded: %s", async (mode, algorithm, content) => {
    const flags = ["--mode", mode, "--hash-algo", algorithm, "--name"];
    const path = await inWriter("nix", "store", "add", ...flags, "theirs", join(dir, content));
    await inWriter("nix", "copy", "--to", daemon.address, path);
    for (const format of ["1", "2"])
      expect(JSON.parse(await cli("path-info", "--json", "--json-format", format, path))).toEqual(
        known(await inWriter("nix", "path-info", "--json", "--json-format", format, path)),
      );

    const ours = await cli("import", ...flags, "ours", join(dir, content));
    const expected = await inWriter("nix", "store", "add", ...flags, "ours", join(dir, content));
    expect(ours).toBe(expected);
    // A content-addressed path needs no signature.
    await inReader("nix", "copy", "--from", daemon.address, path, ours);
    await inReader("nix", "store", "verify", "--no-trust", path, ours);
  });

  test("a path that refers to itself is imported, and rendered for others", async () => {
    const expression = join(dir, "self.nix");
    await writeFile(expression, SELF);
    const built = await inWriter("nix-build", "--no-out-link", expression);
    const made = await inWriter("nix", "store", "make-content-addressed", "--json", built);
    const { rewrites } = JSON.parse(made) as { rewrites: Record<string, string> };
    const path = rewrites[built] ?? "";
    await inWriter("nix", "copy", "--to", daemon.address, path);
    const [info] = JSON.parse(await cli("path-info", "--json", path));
    expect(info.references).toContain(path);
    await inReader("nix", "copy", "--from", daemon.address, path);
  });

  test("format 3 follows Nix's schema", async () => {
    const path = await cli("import", "--name", "third", "--mode", "git", join(dir, "tree"));
    expect(schemaErrors(PATH_INFO_SCHEMAS[3], JSON.parse(await cli("path-info", "--json-format", "3", path)))).toEqual([]);
  });

  test.each([
    ["structured attributes", STRUCTURED],
    ["dynamic outputs", DYNAMIC],
  ])("the output of nix derivation show is read, and written again: %s", async (name, text) => {
    const expression = join(dir, `${name}.nix`);
    await writeFile(expression, text);
    const drv = await inWriter("nix-instantiate", expression);
    const shown = await inWriter("nix", "derivation", "show", "--recursive", drv);
    const derivations = await derivationsFromJson(shown);
    expect(derivations.size).toBe(2);
    const { derivations: frame } = JSON.parse(shown) as { derivations: Record<string, unknown> };
    for (const [path, derivation] of derivations) {
      expect(formatStorePath(await derivationPath(derivation))).toBe(path);
      expect(derivationToJson(derivation, { version: 4 })).toEqual(frame[path.slice("/nix/store/".length)]);
      expect(shown).toContain(formatDerivationJson(derivation, { version: 4 }));
    }
    await inWriter("nix", "copy", "--to", daemon.address, drv);
    expect(await cli("path-info", drv)).toContain(drv);
  });
});

const SELF = `
derivation { name = "self"; system = builtins.currentSystem; builder = "/bin/sh"; args = [ "-c" "echo $out $out > $out" ]; }
`;

const STRUCTURED = `
let make = attributes: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // attributes);
in make {
  name = "structured";
  __structuredAttrs = true;
  numbers = [ 3.0 0.1 9007199254740993 1.0e-7 ];
  base = make { name = "base"; };
}
`;

const DYNAMIC = `
let make = attributes: derivation ({ system = "x86_64-linux"; builder = "/bin/sh"; } // attributes);
  produced = make { name = "produced.drv"; __contentAddressed = true; outputHashMode = "text"; outputHashAlgo = "sha256"; };
  outputOf = builtins.outputOf;
in make {
  name = "dynamic";
  a = [ (outputOf produced.outPath "out") (outputOf (outputOf produced.outPath "dev") "lib") ];
}
`;
