/** Path of Chromium: `CHROMIUM_PATH`, otherwise Debian's. */
export function chromiumPath(): string;
/** Path of Firefox: `FIREFOX_PATH`, otherwise Debian's. */
export function firefoxPath(): string;
/**
 * Path of WebKitGTK's MiniBrowser: `MINIBROWSER_PATH`, otherwise the one that Debian installs with
 * the library.
 */
export function miniBrowserPath(): string;
/** Path of Xvfb, an X server without a screen, for MiniBrowser: `XVFB_PATH`, otherwise Debian's. */
export function xvfbPath(): string;
