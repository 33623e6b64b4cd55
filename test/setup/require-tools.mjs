// @ts-check
// Checks that the programs that the tests need are installed: `node test/setup/require-tools.mjs
// [chromium] [firefox] [webkit] [nix]`, by default all. Installs missing programs from Debian's
// packages if it runs as root. Otherwise prints one line with the packages to install.
// Exit status: 0 if all programs are installed, 1 if one is missing, 2 for wrong usage.

import { spawnSync } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromiumPath, firefoxPath, miniBrowserPath, xvfbPath } from "./browser-paths.mjs";

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

/**
 * `overrides` are environment variables with the path of a program.
 *
 * @type {ReadonlyArray<{ name: string, packages: string[], overrides: string[], present: () =>
 *   boolean }>}
 */
const tools = [
  {
    name: "chromium",
    packages: ["chromium"],
    overrides: ["CHROMIUM_PATH"],
    present: () => isExecutable(chromiumPath()),
  },
  {
    name: "firefox",
    packages: ["firefox-esr"],
    overrides: ["FIREFOX_PATH"],
    present: () => isExecutable(firefoxPath()),
  },
  {
    name: "webkit",
    packages: ["webkit2gtk-driver", "xvfb"],
    overrides: ["MINIBROWSER_PATH", "XVFB_PATH"],
    present: () => [miniBrowserPath(), xvfbPath()].every(isExecutable),
  },
  {
    name: "nix",
    packages: ["nix-bin"],
    overrides: [],
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
  fail(`require-tools: unknown tool '${unknown}'; known tools: ${tools.map((tool) => tool.name).join(", ")}`, 2);

const wanted = names.length === 0 ? tools : tools.filter((tool) => names.includes(tool.name));
let missing = wanted.filter((tool) => !tool.present());

for (const name of missing.flatMap((tool) => tool.overrides)) {
  const path = process.env[name];
  // Installing Debian's package would not create the requested binary.
  if (path && !isExecutable(path)) fail(`require-tools: ${name} names '${path}', which is not an executable`, 1);
}

if (missing.length > 0 && process.getuid?.() === 0 && onPath("apt-get")) {
  const packages = missing.flatMap((tool) => tool.packages);
  process.stderr.write(`require-tools: installing ${packages.join(" ")}\n`);
  for (const args of [["update"], ["install", "-y", "--no-install-recommends", ...packages]]) {
    // Keep standard output clean for a test run in a pipe. If the installation fails, the check
    // below reports it.
    spawnSync("apt-get", ["-q", ...args], {
      stdio: ["ignore", process.stderr, process.stderr],
      env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
    });
  }
  missing = missing.filter((tool) => !tool.present());
}

if (missing.length > 0) {
  const hints = missing.map(({ packages, overrides }) => {
    const other = overrides.length > 0 ? ` (or set ${overrides.join(", ")})` : "";
    return `${packages.join(" ")}${other}`;
  });
  fail(`require-tools: the tests need Debian's packages; please install ${hints.join(" and ")}`, 1);
}
