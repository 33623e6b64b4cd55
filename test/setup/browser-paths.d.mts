/** The Chromium binary: `CHROMIUM_PATH`, else Debian's. */
export function chromiumPath(): string;
/** The Firefox binary: `FIREFOX_PATH`, else Debian's. */
export function firefoxPath(): string;
/** WebKitGTK's own small browser: `MINIBROWSER_PATH`, else the one beside Debian's library. */
export function miniBrowserPath(): string;
/** The X server without a screen, for MiniBrowser: `XVFB_PATH`, else Debian's. */
export function xvfbPath(): string;
