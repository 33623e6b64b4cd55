import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { BROWSERS } from "../bench/browsers.ts";

export type BrowserName = "chromium" | "firefox";

/**
 * Preferences that let pages open windows, restore nothing from the last session, and start without
 * questions after a crash.
 */
const FIREFOX_PREFERENCES: Readonly<Record<string, boolean | number | string>> = {
  "app.normandy.enabled": false,
  "app.update.disabledForTesting": true,
  "browser.aboutwelcome.enabled": false,
  "browser.safebrowsing.malware.enabled": false,
  "browser.safebrowsing.phishing.enabled": false,
  "browser.sessionstore.max_resumed_crashes": 0,
  "browser.sessionstore.resume_from_crash": false,
  "browser.shell.checkDefaultBrowser": false,
  "browser.startup.homepage_override.mstone": "ignore",
  "browser.startup.page": 0,
  "datareporting.policy.dataSubmissionEnabled": false,
  "dom.disable_open_during_load": false,
  "dom.push.connection.enabled": false,
  "extensions.update.enabled": false,
  "network.captive-portal-service.enabled": false,
  "network.connectivity-service.enabled": false,
  "services.settings.server": "data:,#remote-settings-dummy/v1",
  "toolkit.startup.max_resumed_crashes": -1,
};

const running = new Set<number>();
// Kill all started browsers when this process exits.
process.on("exit", () => {
  for (const group of running) signalGroup(group, "SIGKILL");
});

/**
 * A browser as users run it, without a driver. Its profile is on disk, and killing it kills every
 * process that could still write.
 */
export class BrowserProcess {
  readonly #child: ChildProcess;
  readonly #group: number;
  readonly #exit: Promise<void>;
  #family: readonly number[] = [];

  private constructor(child: ChildProcess, group: number) {
    this.#child = child;
    this.#group = group;
    this.#exit = new Promise((resolve) => child.once("exit", () => resolve()));
  }

  /**
   * Starts the browser.
   *
   * @param onExit called when the browser ends, for any reason
   */
  static async start(browser: BrowserName, profile: string, url: string, onExit: () => void): Promise<BrowserProcess> {
    const { path } = BROWSERS[browser];
    if (browser === "firefox") {
      const lines = Object.entries(FIREFOX_PREFERENCES).map(([name, value]) => `user_pref("${name}", ${JSON.stringify(value)});\n`);
      await writeFile(join(profile, "user.js"), lines.join(""));
    }
    const args =
      browser === "firefox"
        ? ["--headless", "--no-remote", "--profile", profile, url]
        : [
            "--headless=new",
            "--no-sandbox",
            "--no-first-run",
            "--disable-breakpad",
            "--disable-dev-shm-usage",
            "--disable-popup-blocking",
            // A hidden tab must work as fast as a visible one.
            "--disable-background-timer-throttling",
            "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding",
            `--user-data-dir=${profile}`,
            url,
          ];
    const child = spawn(path, args, { detached: true, stdio: "ignore" });
    await new Promise<void>((resolve, reject) => {
      child.once("spawn", resolve);
      child.once("error", reject);
    });
    if (child.pid === undefined) throw new Error(`${path} has no process`);
    running.add(child.pid);
    child.once("exit", onExit);
    return new BrowserProcess(child, child.pid);
  }

  /**
   * Records the browser's descendants. Some of them leave the process group, and their parents are
   * only known while these live. Call it some time before `kill`.
   */
  async look(): Promise<void> {
    this.#family = descendants(await processes(), this.#group);
  }

  /**
   * Sends SIGKILL to the whole process group before it returns. Resolves when no process of the
   * browser is running.
   */
  async kill(): Promise<void> {
    signalGroup(this.#group, "SIGKILL");
    for (const pid of this.#family) signal(pid, "SIGKILL");
    await this.#exit;
    await this.#gone();
  }

  /** Ends the browser as a user does. */
  async close(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => signalGroup(this.#group, "SIGKILL"), 5000);
    await this.#exit;
    clearTimeout(timer);
    signalGroup(this.#group, "SIGKILL");
    await this.#gone();
  }

  async #gone(): Promise<void> {
    const known = new Set(this.#family);
    for (let attempt = 0; ; attempt++) {
      const left = (await processes()).filter(({ pid, group }) => group === this.#group || known.has(pid));
      if (left.length === 0) break;
      if (attempt === 200) throw new Error(`processes ${left.map(({ pid }) => pid).join(", ")} survived SIGKILL`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    running.delete(this.#group);
  }
}

/** Directories of a profile in which the browser keeps the storage of pages. */
const STORAGE: Readonly<Record<BrowserName, readonly string[]>> = {
  chromium: ["Default/File System", "Default/IndexedDB"],
  firefox: ["storage/default"],
};

/**
 * Measures the files in which the browser keeps the storage of pages, in bytes. Call it when the
 * browser has ended.
 */
export async function storageOnDisk(browser: BrowserName, profile: string): Promise<number> {
  const sizes = STORAGE[browser].map(async (directory) => {
    const path = join(profile, directory);
    // If the directory doesn't exist, the browser keeps storage elsewhere. Fail, because the
    // measurement would be wrong.
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile());
    return Promise.all(files.map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size));
  });
  return (await Promise.all(sizes)).flat(2).reduce((sum, size) => sum + size, 0);
}

interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
}

/** Lists all processes except zombies. */
async function processes(): Promise<ProcessEntry[]> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const entries = await Promise.all(
    pids.map(async (pid) => {
      const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
      // The program's name is in parentheses and may contain anything.
      const [state, parent, group] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return state === undefined || state === "" || "ZX".includes(state)
        ? []
        : [{ pid: Number(pid), parent: Number(parent), group: Number(group) }];
    }),
  );
  return entries.flat();
}

function descendants(all: readonly ProcessEntry[], ancestor: number): number[] {
  const children = all.filter(({ parent }) => parent === ancestor).map(({ pid }) => pid);
  return children.flatMap((pid) => [pid, ...descendants(all, pid)]);
}

function signalGroup(group: number, name: NodeJS.Signals): void {
  signal(-group, name);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // The process no longer exists.
  }
}
