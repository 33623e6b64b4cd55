// @ts-check
// Where the browsers are, for the tests and, in plain JavaScript, for `require-tools.mjs`, which runs before anything is built.

import { readdirSync } from "node:fs";
import { join } from "node:path";

export const chromiumPath = () => process.env.CHROMIUM_PATH || "/usr/bin/chromium";

export const firefoxPath = () => process.env.FIREFOX_PATH || "/usr/bin/firefox-esr";

/** The X server without a screen, for MiniBrowser. */
export const xvfbPath = () => process.env.XVFB_PATH || "/usr/bin/Xvfb";

/** WebKitGTK's own small browser, which Debian keeps beside the library: /usr/lib/TRIPLET/webkit2gtk-4.1, newer ones in webkitgtk-6.0. */
export function miniBrowserPath() {
  if (process.env.MINIBROWSER_PATH) return process.env.MINIBROWSER_PATH;
  const libraries = matching("/usr/lib", /-linux-gnu/).flatMap((triplet) => matching(triplet, /\/webkit(2gtk-4|gtk-6)\.\d+$/));
  return libraries.flatMap((library) => matching(library, /\/MiniBrowser$/))[0] ?? "/usr/lib/webkit2gtk-4.1/MiniBrowser";
}

/**
 * @param {string} directory
 * @param {RegExp} pattern
 * @returns {string[]} the paths in it that match; none if it can't be read
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
