// @ts-check
// Paths of the browsers, for the tests and for `require-tools.mjs`. This file is plain JavaScript
// because `require-tools.mjs` runs before anything is built.

import { readdirSync } from "node:fs";
import { join } from "node:path";

export const chromiumPath = () => process.env.CHROMIUM_PATH || "/usr/bin/chromium";

export const firefoxPath = () => process.env.FIREFOX_PATH || "/usr/bin/firefox-esr";

/** Path of Xvfb, an X server without a screen, for MiniBrowser. */
export const xvfbPath = () => process.env.XVFB_PATH || "/usr/bin/Xvfb";

/**
 * Path of MiniBrowser, WebKitGTK's own small browser. Debian installs it with the library: in
 * /usr/lib/TRIPLET/webkit2gtk-4.1, newer versions in webkitgtk-6.0.
 */
export function miniBrowserPath() {
  if (process.env.MINIBROWSER_PATH) return process.env.MINIBROWSER_PATH;
  const libraries = matching("/usr/lib", /-linux-gnu/).flatMap((triplet) => matching(triplet, /\/webkit(2gtk-4|gtk-6)\.\d+$/));
  return libraries.flatMap((library) => matching(library, /\/MiniBrowser$/))[0] ?? "/usr/lib/webkit2gtk-4.1/MiniBrowser";
}

/**
 * Lists the paths in a directory that match a pattern.
 *
 * @param {string} directory
 * @param {RegExp} pattern
 * @returns {string[]} none if the directory can't be read
 */
function matching(directory, pattern) {
  try {
    return readdirSync(directory)
      .map((name) => join(directory, name))
      .filter((path) => pattern.test(path));
  } catch {
    return [];
  }
}
