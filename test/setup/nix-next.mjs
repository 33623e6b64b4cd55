// @ts-check
// Runs every test with real Nix once more, with the current Nix of Debian testing or sid:
// `npm run test:nix-next [FILE...]`. Prints the version and the command. Status 0: all tests passed
// with that version. Any other status: a test failed, or Nix could not be fetched. No test is
// skipped for lack of Nix.

import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const setup = dirname(fileURLToPath(import.meta.url));
const repository = join(setup, "../..");

/** Finds Vitest's tests that run Nix, by their imports. */
function testsWithNix() {
  return readdirSync(join(repository, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /^(?!.*\.browser).*\.test\.ts$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) =>
      /import [^;]*\b(?:nix|nixLine|nixVersion)\b[^;]* from "[./]*\/setup\/tools\.ts"/.test(readFileSync(path, "utf8")),
    )
    .map((path) => relative(repository, path))
    .sort();
}

const fetched = spawnSync(join(setup, "fetch-nix-next.sh"), { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });
if (fetched.status !== 0) process.exit(fetched.status ?? 1);
const programs = fetched.stdout.trim();
const version = spawnSync(join(programs, "nix"), ["--version"], { encoding: "utf8" }).stdout.trim().split(" ").at(-1) ?? "";

const files = process.argv.length > 2 ? [...process.argv.slice(2), "test/interop/nix-version.test.ts"] : testsWithNix();
const command = ["npx", "vitest", "run", "--project", "node", ...files];
process.stdout.write(`Nix ${version} of ${programs} runs:\n  ${command.join(" ")}\n`);
const { status } = spawnSync("npx", command.slice(1), {
  cwd: repository,
  stdio: "inherit",
  // If a test finds another version of Nix, test/interop/nix-version.test.ts fails.
  env: { ...process.env, PATH: `${programs}${delimiter}${process.env.PATH ?? ""}`, TVIX_TEST_NIX_VERSION: version },
});
process.exit(status ?? 1);
