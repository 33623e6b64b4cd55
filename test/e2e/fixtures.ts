import { type ChildProcess, spawn } from "node:child_process";
import { createReadStream } from "node:fs";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join, normalize } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type BrowserContext, test as base, chromium, expect, type Page } from "@playwright/test";
import type * as tvixStoreWeb from "../../src/index.ts";
import { chromiumPath } from "../setup/tools.ts";

export { expect };

declare global {
  interface Window {
    /** The built package, in page.html. */
    tvix: typeof tvixStoreWeb;
  }
}

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Daemon {
  readonly url: string;
  /** Sends SIGTERM, and resolves to the exit status. */
  stop(): Promise<number | null>;
}

/** Starts the built daemon on a free port, and waits until it listens. */
export async function startDaemon(dataDir: string, ...args: string[]): Promise<Daemon> {
  const child: ChildProcess = spawn(
    process.execPath,
    [join(ROOT, "dist/node/main.js"), "daemon", "-l", "127.0.0.1:0", "--data-dir", dataDir, ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const exit = new Promise<number | null>((resolve) => child.once("exit", resolve));
  if (!child.stdout) throw new Error("the daemon has no standard output");
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /^listening on (http:.*)$/.exec(line)?.[1];
    if (!url) continue;
    return {
      url,
      stop: () => {
        child.kill("SIGTERM");
        return exit;
      },
    };
  }
  throw new Error(`the daemon ended before it listened, with status ${await exit}`);
}

/** Opens a browser with a permanent profile in `profileDir`, as a person has one. */
export async function openBrowser(profileDir: string): Promise<BrowserContext> {
  const context = await chromium.launchPersistentContext(profileDir, {
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
    acceptDownloads: true,
  });
  context.setDefaultTimeout(20_000);
  return context;
}

/** Opens the viewer, and waits until it also works offline. */
export async function openViewer(context: BrowserContext, url: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(url);
  await expect(page.getByText("Available offline")).toBeVisible();
  return page;
}

const TYPES: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".mjs": "text/javascript" };

/** Serves the files of the repository, for a page that uses the package without a bundler. */
async function serveRepository(): Promise<{ url: string; close(): void }> {
  const server = createServer(async (request, answer) => {
    const path = join(ROOT, normalize(new URL(request.url ?? "/", "http://localhost").pathname));
    const found = await stat(path).catch(() => undefined);
    if (!found?.isFile()) {
      answer.writeHead(404).end();
      return;
    }
    // During a run no file changes, and each page loads more than a hundred.
    answer.writeHead(200, { "content-type": TYPES[extname(path)] ?? "application/octet-stream", "cache-control": "max-age=3600" });
    createReadStream(path).pipe(answer);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => server.close() };
}

interface Fixtures {
  /** A temporary directory of the test. */
  dir: string;
  /** The page test/e2e/page.html, in which `tvix` is the package. */
  libraryPage: Page;
  /** A daemon with an empty store. */
  daemon: Daemon;
}

export const test = base.extend<Fixtures, { repository: string; browserContext: BrowserContext }>({
  repository: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright wants to see a pattern.
    async ({}, use) => {
      const server = await serveRepository();
      await use(server.url);
      server.close();
    },
    { scope: "worker" },
  ],
  // A browser with a permanent profile. Tests that don't need one of their own share it.
  browserContext: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright wants to see a pattern.
    async ({}, use) => {
      const profile = await mkdtemp(join(tmpdir(), "tvix-store-web-profile-"));
      const context = await openBrowser(profile);
      await use(context);
      await context.close();
      await rm(profile, { recursive: true, force: true });
    },
    { scope: "worker" },
  ],
  // biome-ignore lint/correctness/noEmptyPattern: Playwright wants to see a pattern.
  dir: async ({}, use) => {
    const dir = await mkdtemp(join(tmpdir(), "tvix-store-web-e2e-"));
    await use(dir);
    await rm(dir, { recursive: true, force: true });
  },
  libraryPage: async ({ browserContext, repository }, use) => {
    const page = await browserContext.newPage();
    await page.goto(`${repository}/test/e2e/page.html`);
    await page.waitForFunction(() => "tvix" in window);
    await use(page);
    await page.close();
  },
  daemon: async ({ dir }, use) => {
    const daemon = await startDaemon(join(dir, "daemon"));
    await use(daemon);
    await daemon.stop();
  },
});
