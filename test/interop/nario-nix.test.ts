import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "../node/run-cli.ts";
import { serviceFlags } from "../setup/service-flags.ts";
import { nix, nixLine, removeNixStore } from "../setup/tools.ts";
import { LET_BUILD } from "./nix-expressions.ts";

/** Exchanges narios between the command line and real `nix-store --export` and `--import`. */

let dir: string;
let source: string;
let built: string;
let closure: string[];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-nario-nix-"));
  source = join(dir, "source");
  await mkdir(source, { recursive: true });
  await writeFile(join(dir, "closure.nix"), CLOSURE);
  built = await nixLine(["nix-build", "--no-out-link", join(dir, "closure.nix")], { dir: source });
  closure = (await nixLine(["nix-store", "--query", "--requisites", built], { dir: source })).split("\n");
}, 120_000);

afterAll(async () => {
  for (const name of ["source", "target"]) await removeNixStore(join(dir, name));
  await rm(dir, { recursive: true, force: true });
});

function services(name: string): string[] {
  return serviceFlags(`file:${join(dir, name)}`);
}

async function cli(args: readonly string[], stdin?: Uint8Array): Promise<Buffer> {
  const { status, stdout, stderr } = await runCli(args, { stdin });
  expect(stderr).toBe("");
  expect(status).toBe(0);
  return stdout;
}

const exportOf = (paths: readonly string[]): Promise<Buffer> => nix(["nix-store", "--export", ...paths], { dir: source });

test("a closure goes from nix-store --export to nix-store --import with the same bytes", { timeout: 120_000 }, async () => {
  const exported = await exportOf(closure);
  const imported = (await cli(["nario", "import", ...services("a"), "-"], exported)).toString().trimEnd().split("\n");
  expect([...imported].sort()).toEqual([...closure].sort());
  const ours = await cli(["nario", "export", "-r", ...services("a"), built]);
  expect(ours.equals(exported)).toBe(true);

  const listed = (await cli(["nario", "list", "-"], ours)).toString().trimEnd().split("\n");
  const sizes = await Promise.all(closure.map((path) => nixLine(["nix-store", "--query", "--size", path], { dir: source })));
  expect([...listed].sort()).toEqual(closure.map((path, i) => `${path}: ${sizes[i]} bytes`).sort());
});

test("nix-store --import reads a nario with signatures, and import keeps them", { timeout: 120_000 }, async () => {
  await cli(["nario", "import", ...services("b"), "-"], await exportOf(closure));
  const cache = join(dir, "cache");
  const [secret, publicKey] = [join(dir, "secret"), join(dir, "public")];
  await nix(["nix-store", "--generate-binary-cache-key", "nario-1", secret, publicKey], { dir: source });
  await nix(["nix", "copy", "--to", `file://${cache}?secret-key=${secret}&compression=none`, built], { dir: source });
  for (const path of closure) {
    const narInfo = join(cache, `${path.slice(11, 43)}.narinfo`);
    const url = /^URL: (.*)$/m.exec(await readFile(narInfo, "utf8"))?.[1] ?? "";
    await cli(["import", ...services("b"), "--nar-info", narInfo, join(cache, url)]);
  }
  const signed = await cli(["nario", "export", "-r", "--signatures", ...services("b"), built]);
  expect(signed.toString("latin1")).toContain("Sig: nario-1:");

  const file = join(dir, "signed.nario");
  await writeFile(file, signed);
  await cli(["nario", "import", ...services("c"), file]);
  const before = await cli(["path-info", "-r", "--json", ...services("b"), built]);
  expect((await cli(["path-info", "-r", "--json", ...services("c"), built])).equals(before)).toBe(true);

  const target = join(dir, "target");
  const imported = (await nix(["nix-store", "--import"], { dir: target, input: signed })).toString().trimEnd().split("\n");
  expect([...imported].sort()).toEqual([...closure].sort());
  await nix(["nix-store", "--verify-path", ...closure], { dir: target });
  const exported = await nix(["nix-store", "--export", ...closure], { dir: target });
  expect(exported.equals(await exportOf(closure))).toBe(true);
});

test("a compressed file is read; a missing file and an invalid one are errors of one line", { timeout: 60_000 }, async () => {
  const { gzipSync } = await import("node:zlib");
  const file = join(dir, "closure.nario.gz");
  await writeFile(file, gzipSync(await exportOf(closure)));
  await cli(["nario", "import", ...services("d"), file]);
  const failures: [string[], number, RegExp][] = [
    [["nario", "import", ...services("d"), join(dir, "missing")], 1, /can't read .*missing/],
    [["nario", "import", ...services("d"), join(dir, "closure.nix")], 1, /not a nario/],
    [["nario", "export", ...services("d"), "00bgd045z0d4icpbc2yyz4gx48ak44la"], 1, /is not in the store/],
    [["nario", "list", "--recursive", file], 2, /--recursive/],
    [["nario", "export", "--format", "2", built], 2, /format 2/],
    [["nario", "frob"], 2, /unknown command nario frob/],
    [["nario", "import"], 2, /exactly one FILE/],
  ];
  for (const [args, status, message] of failures) {
    const run = await runCli(args);
    expect(run.stderr).toMatch(message);
    expect(run.status).toBe(status);
  }
});

/** Several paths that refer to each other, and one that refers to itself. */
const CLOSURE = `${LET_BUILD}    a = build "z-first" "echo a > $out";
    b = build "a-second" "/bin/mkdir -p $out/bin; echo \${a} $out > $out/bin/b";
    c = build "m-third" "echo \${a} \${b} > $out";
in build "outer" "echo \${c} \${b} $out > $out"
`;
