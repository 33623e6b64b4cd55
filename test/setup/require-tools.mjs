// @ts-check
// Makes sure that the programs the tests run beside ours are there: `node test/setup/require-tools.mjs [chromium] [firefox] [webkit]
// [nix]`, by default all. What is missing is installed from Debian's packages when we may, otherwise one line says what to install.
// Status 0: all is there; 1: something is missing; 2: usage.

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

/** `overrides` are environment variables that name a program.
 * @type {ReadonlyArray<{ name: string, packages: string[], overrides: string[], present: () => boolean }>} */
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
  fail(`require-tools: unknown tool '${unknown}'; known are ${tools.map((tool) => tool.name).join(", ")}`, 2);

const wanted = names.length === 0 ? tools : tools.filter((tool) => names.includes(tool.name));
let missing = wanted.filter((tool) => !tool.present());

for (const name of missing.flatMap((tool) => tool.overrides)) {
  const path = process.env[name];
  // Installing Debian's package would not make the binary that was asked for appear.
  if (path && !isExecutable(path)) fail(`require-tools: ${name} names '${path}', which is not an executable`, 1);
}

if (missing.length > 0 && process.getuid?.() === 0 && onPath("apt-get")) {
  const packages = missing.flatMap((tool) => tool.packages);
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
  const hints = missing.map(({ packages, overrides }) => {
    const other = overrides.length > 0 ? ` (or set ${overrides.join(", ")})` : "";
    return `${packages.join(" ")}${other}`;
  });
  fail(`require-tools: the tests need Debian's packages; please install ${hints.join(" and ")}`, 1);
}
