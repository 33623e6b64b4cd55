import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { serviceFlags } from "../../setup/service-flags.ts";
import { expectFailure, output } from "../run-cli.ts";

let dir: string;
let services: string[];
let path: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-ls-"));
  services = serviceFlags(`file:${join(dir, "store")}`);
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "sub"), { recursive: true });
  writeFileSync(join(tree, "file"), "content\n");
  writeFileSync(join(tree, "sub", "more"), "more\n");
  writeFileSync(join(tree, "run"), "");
  chmodSync(join(tree, "run"), 0o755);
  symlinkSync("sub/more", join(tree, "link"));
  path = (await output(["import", ...services, tree])).toString().trim();
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const ls = async (...args: string[]): Promise<string> => (await output(["ls", ...services, ...args])).toString();

const line = (mode: string, size: number, name: string): string => `${mode} ${String(size).padStart(20)} ${name}\n`;
const SUB = line("dr-xr-xr-x", 0, "./sub");
const MORE = line("-r--r--r--", 5, "./sub/more");
const BEFORE_SUB = [
  line("-r--r--r--", 8, "./file"),
  line("lrwxrwxrwx", 0, "./link -> sub/more"),
  line("-r-xr-xr-x", 0, "./run"),
].join("");

describe("a directory", () => {
  test("is listed without the contents of its subdirectories", async () => {
    expect(await ls(path)).toBe("./file\n./link\n./run\n./sub\n");
    expect(await ls(`${path.slice(11, 43)}/sub/`)).toBe("./more\n");
  });

  test("is listed with modes, sizes and targets by -l, and with all contents by -R", async () => {
    expect(await ls("-l", path.slice(11))).toBe(BEFORE_SUB + SUB);
    expect(await ls("-lR", path)).toBe(BEFORE_SUB + SUB + MORE);
    expect(await ls("-R", path)).toBe("./file\n./link\n./run\n./sub\n./sub/more\n");
  });

  test("is shown itself by -d, before its contents by -dR", async () => {
    expect(await ls("-d", path)).toBe(".\n");
    expect(await ls("-ld", path)).toBe(line("dr-xr-xr-x", 0, "."));
    expect(await ls("-dR", `${path}/sub`)).toBe(".\n./more\n");
  });
});

test("a file or a symlink is shown by its name", async () => {
  expect(await ls(`${path}/sub/more`)).toBe("more\n");
  expect(await ls("-l", `${path}/link`)).toBe(line("lrwxrwxrwx", 0, "link -> sub/more"));
  expect(await ls("-d", `${path}/file`)).toBe("file\n");
});

test.each([[[]], [["a", "b"]], [["-x", "a"]]])("%j is wrong usage", async (args) => {
  await expectFailure(2, ["ls", ...args]);
});

test.each([
  ["a missing path", () => `${"0".repeat(32)}/bin`],
  ["a path that leads out", () => `${"0".repeat(32)}/../x`],
  ["a missing entry", () => `${path}/none`],
  ["an entry of a file", () => `${path}/file/x`],
])("fails on %s", async (_, operand) => {
  await expectFailure(1, ["ls", ...services, operand()]);
});
