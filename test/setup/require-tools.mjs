// @ts-check
// Makes sure that the programs the tests run beside ours are there: `node test/setup/require-tools.mjs [chromium] [nix]`, by
// default both. What is missing is installed from Debian's packages when we may, otherwise one line says what to install.
// Status 0: all is there; 1: something is missing; 2: usage.

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** @param {string} program */
function onPath(program) {
  return (process.env.PATH ?? "").split(delimiter).some((dir) => dir !== "" && isExecutable(join(dir, program)));
}

/** @type {ReadonlyArray<{ name: string, package: string, hint: string, present: () => boolean }>} */
const tools = [
  {
    name: "chromium",
    package: "chromium",
    hint: "chromium (or set CHROMIUM_PATH to a Chromium binary)",
    present: () => isExecutable(process.env.CHROMIUM_PATH || "/usr/bin/chromium"),
  },
  {
    name: "nix",
    package: "nix-bin",
    hint: "nix-bin",
    present: () => ["nix", "nix-store", "nix-build"].every(onPath),
  },
];

/**
 * @param {string} message
 * @param {number} status
 * @returns {never}
 */
function fail(message, status) {
  process.stderr.write(`${message}\n`);
  process.exit(status);
}

const names = process.argv.slice(2);
const unknown = names.find((name) => !tools.some((tool) => tool.name === name));
if (unknown !== undefined)
  fail(`require-tools: unknown tool '${unknown}'; known are ${tools.map((tool) => tool.name).join(", ")}`, 2);

const wanted = names.length === 0 ? tools : tools.filter((tool) => names.includes(tool.name));
let missing = wanted.filter((tool) => !tool.present());

if (process.env.CHROMIUM_PATH && missing.some((tool) => tool.name === "chromium")) {
  // Installing Debian's package would not make the binary that was asked for appear.
  fail(`require-tools: CHROMIUM_PATH names '${process.env.CHROMIUM_PATH}', which is not an executable`, 1);
}

if (missing.length > 0 && process.getuid?.() === 0 && onPath("apt-get")) {
  const packages = missing.map((tool) => tool.package);
  process.stderr.write(`require-tools: installing ${packages.join(" ")}\n`);
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    // Standard output stays clean for whoever runs the tests in a pipe; a failure shows below as "still missing".
    spawnSync("apt-get", ["-q", ...args], {
      stdio: ["ignore", process.stderr, process.stderr],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  missing = missing.filter((tool) => !tool.present());
}

if (missing.length > 0) {
  fail(`require-tools: the tests need Debian's packages; please install ${missing.map((tool) => tool.hint).join(" and ")}`, 1);
}
