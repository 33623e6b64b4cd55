/**
 * A Vitest provider for ordinary browsers that Playwright doesn't drive: Firefox and WebKitGTK. It
 * only starts the program with the URL to open. Vitest's page does the rest.
 *
 * Without a driver, a browser behaves as it does for its users: storage is on disk, in a separate
 * profile that is deleted afterwards, and `navigator.webdriver` is false.
 */

import { once } from "node:events";
import { mkdir, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { defineBrowserProvider } from "@vitest/browser";
import type { BrowserModuleMocker, BrowserProvider, BrowserProviderOption } from "vitest/node";
import { type LeashedProcess, startLeashed } from "./leashed-process.ts";
import { firefoxPath, miniBrowserPath, xvfbPath } from "./tools.ts";

/**
 * Time for a program to report that it is ready, in milliseconds. Vitest itself waits for the page.
 */
const START_TIMEOUT = 30_000;

/** Starts a browser. The resulting processes must be ended in their order. */
type Start = (url: string, profile: string) => Promise<LeashedProcess[]>;

export function firefox(): BrowserProviderOption {
  return plainBrowser("firefox", startFirefox);
}

export function webkit(): BrowserProviderOption {
  return plainBrowser("webkit", startWebKit);
}

function plainBrowser(browser: "firefox" | "webkit", start: Start): BrowserProviderOption {
  return defineBrowserProvider({
    name: `plain-${browser}`,
    supportedBrowser: [browser],
    providerFactory: () => new PlainBrowser(`plain-${browser}`, start),
  });
}

class PlainBrowser implements BrowserProvider {
  readonly name: string;
  /**
   * Lets the browsers run at the same time. A single one does not keep two cores busy. Vitest also
   * demands a `mocker` for this.
   */
  readonly supportsParallelism = true;
  readonly mocker: BrowserModuleMocker = {
    register: () => Promise.reject(new Error("this browser has no driver, so tests can't mock modules")),
    delete: () => Promise.resolve(),
    clear: () => Promise.resolve(),
  };
  readonly #start: Start;
  readonly #sessions = new Map<string, Promise<LeashedProcess[]>>();

  constructor(name: string, start: Start) {
    this.name = name;
    this.#start = start;
  }

  /** There are no commands, such as clicks: they need a driver. */
  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    await this.#end(sessionId);
    const starting = mkdtemp(join(tmpdir(), `tvix-store-web-${this.name}-`)).then((profile) => this.#start(url, profile));
    this.#sessions.set(sessionId, starting);
    await starting;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#sessions.keys()].map((sessionId) => this.#end(sessionId)));
  }

  async #end(sessionId: string): Promise<void> {
    const starting = this.#sessions.get(sessionId);
    this.#sessions.delete(sessionId);
    // If the start failed, its processes have already ended.
    for (const running of (await starting?.catch(() => [])) ?? []) await running.end();
  }
}

/** Preferences that prevent other pages than ours, and connections to other hosts. */
const FIREFOX_PREFERENCES: Readonly<Record<string, boolean | number | string>> = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.newtabpage.enabled": false,
  "browser.region.network.url": "",
  "browser.safebrowsing.downloads.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.safebrowsing.provider.google4.updateURL": "",
  "browser.safebrowsing.provider.google5.updateURL": "",
  "browser.safebrowsing.provider.mozilla.updateURL": "",
  "browser.search.update": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.push.connection.enabled": false,
  "extensions.getAddons.cache.enabled": false,
  "extensions.systemAddon.update.enabled": false,
  "extensions.update.enabled": false,
  "media.gmp-manager.updateEnabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.telemetry.reportingpolicy.firstRun": false,
};

async function startFirefox(url: string, profile: string): Promise<LeashedProcess[]> {
  const preferences = Object.entries(FIREFOX_PREFERENCES).map(
    ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`,
  );
  const directory = join(profile, "firefox");
  await mkdir(directory);
  await writeFile(join(directory, "user.js"), preferences);
  const browser = await startLeashed(firefoxPath(), ["--headless", "--no-remote", "--profile", directory, url], {
    // The helper of the crash reporter would leave the process group.
    env: { ...homeIn(profile), MOZ_CRASHREPORTER_DISABLE: "1" },
    directory: profile,
  });
  return [browser];
}

/** Starts MiniBrowser, which comes with the library, on a virtual screen. */
async function startWebKit(url: string, profile: string): Promise<LeashedProcess[]> {
  const args = ["-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp"];
  const screen = await startLeashed(xvfbPath(), args, { directory: profile, pipe: true });
  try {
    const env = { ...homeIn(profile), DISPLAY: await displayOf(screen), GDK_BACKEND: "x11" };
    return [await startLeashed(miniBrowserPath(), [url], { env }), screen];
  } catch (error) {
    await screen.end();
    throw error;
  }
}

/**
 * Waits for the number of the X server's display. The X server takes the first free number, and
 * reports it when it is ready.
 */
async function displayOf({ child }: LeashedProcess): Promise<string> {
  const told = child.stdio[3];
  if (!told) throw new Error("the X server has no pipe for its display number");
  const [number]: unknown[] = await once(told, "data", { signal: AbortSignal.timeout(START_TIMEOUT) });
  return `:${String(number).trim()}`;
}

/** Returns an environment that ignores the user's settings and puts all files into the profile. */
function homeIn(profile: string): NodeJS.ProcessEnv {
  return {
    HOME: profile,
    XDG_CONFIG_HOME: join(profile, "config"),
    XDG_DATA_HOME: join(profile, "data"),
    XDG_CACHE_HOME: join(profile, "cache"),
  };
}
