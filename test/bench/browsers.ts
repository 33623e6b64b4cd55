import { access, constants, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright";
import { launch } from "puppeteer-core";
import { chromiumPath, firefoxPath } from "../setup/tools.ts";

export interface OpenPage {
  readonly version: string;
  /** Rejects if the page or the browser crashes. Never resolves. */
  readonly lost: Promise<never>;
  close(): Promise<void>;
}

export interface Browser {
  readonly path: string;
  /** Opens a page in a new profile on disk. A private window would use other storage. */
  open(url: string): Promise<OpenPage>;
}

export const BROWSERS: Readonly<Record<"chromium" | "firefox", Browser>> = {
  chromium: { path: chromiumPath(), open: (url) => withProfile((profile) => openChromium(url, profile)) },
  firefox: { path: firefoxPath(), open: (url) => withProfile((profile) => openFirefox(url, profile)) },
};

export async function isInstalled({ path }: Browser): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}

async function openChromium(url: string, profile: string): Promise<OpenPage> {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: chromiumPath(),
    args: ["--no-sandbox", "--disable-dev-shm-usage"],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const lost = new Promise<never>((_, reject) => {
    page.on("crash", () => reject(new Error("the page crashed")));
    context.on("close", () => reject(new Error("Chromium ended")));
  });
  lost.catch(() => {});
  const session = await context.newCDPSession(page);
  const { product } = await session.send("Browser.getVersion");
  await session.detach();
  await page.goto(url);
  return { version: product.replace(/^.*\//, ""), lost, close: () => context.close() };
}

/**
 * Drives Firefox over WebDriver BiDi, which works with any release. Playwright only drives its own
 * build of Firefox.
 */
async function openFirefox(url: string, profile: string): Promise<OpenPage> {
  const browser = await launch({ browser: "firefox", executablePath: firefoxPath(), headless: true, userDataDir: profile });
  const lost = new Promise<never>((_, reject) => {
    browser.on("disconnected", () => reject(new Error("Firefox ended")));
  });
  lost.catch(() => {});
  const page = (await browser.pages())[0] ?? (await browser.newPage());
  const version = await browser.version();
  await page.goto(url);
  return { version: version.replace(/^.*\//, ""), lost, close: () => browser.close() };
}

async function withProfile(open: (profile: string) => Promise<OpenPage>): Promise<OpenPage> {
  const profile = await mkdtemp(join(tmpdir(), "tvix-store-web-bench-"));
  // The browser may still write to the profile while it ends.
  const remove = () => rm(profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  try {
    const page = await open(profile);
    return { ...page, close: () => page.close().finally(remove) };
  } catch (error) {
    await remove();
    throw error;
  }
}
