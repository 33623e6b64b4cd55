import { playwright } from "@vitest/browser-playwright";
import { defineConfig, type TestProjectInlineConfiguration } from "vitest/config";
import type { BrowserProviderOption } from "vitest/node";
import { bundledWorkers } from "./test/setup/bundled-workers.ts";
import { firefox, webkit } from "./test/setup/plain-browser.ts";
import { chromiumPath } from "./test/setup/tools.ts";

const playwrightChromium = playwright({
  launchOptions: { executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-dev-shm-usage", "--js-flags=--expose-gc"] },
});

function inBrowser(
  name: string,
  browser: "chromium" | "firefox" | "webkit",
  provider: BrowserProviderOption,
): TestProjectInlineConfiguration {
  return {
    plugins: [bundledWorkers()],
    optimizeDeps: {
      include: [
        "hash-wasm",
        "idb",
        "comlink",
        "@noble/ed25519",
        "pako",
        "@bufbuild/protobuf",
        "@bufbuild/protobuf/wire",
        "@bufbuild/protobuf/codegenv2",
        "@connectrpc/connect",
        "@connectrpc/connect/protocol",
        "@connectrpc/connect/protocol-connect",
        "@connectrpc/connect/protocol-grpc-web",
      ],
      // The package locates its WebAssembly module by its own URL, which a bundle would change.
      exclude: ["brotli-dec-wasm"],
    },
    test: {
      name,
      include: ["test/**/*.browser.test.ts"],
      globalSetup: ["test/conformance/daemon-for-browser.ts", "test/conformance/cache-for-browser.ts"],
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // On a busy machine, a browser may need seconds until it renders.
      expect: { poll: { timeout: 15_000, interval: 10 } },
      browser: {
        enabled: true,
        headless: true,
        screenshotFailures: false,
        // The browsers start at the same time. A busy machine takes more than a minute for it.
        connectTimeout: 180_000,
        provider,
        instances: [{ browser }],
      },
    },
  };
}

/** Configuration of the tests. demo/vite.config.ts builds the viewer. */
export default defineConfig({
  test: {
    // Two workers for Node's tests beside the three browsers. The default is one worker less than
    // there are cores. It left a core idle while the browsers waited, and after they had ended.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: "node",
          environment: "node",
          include: ["test/**/*.test.ts"],
          exclude: ["test/**/*.browser.test.ts", "test/e2e/**"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      inBrowser("browser", "chromium", playwrightChromium),
      inBrowser("firefox", "firefox", firefox()),
      inBrowser("webkit", "webkit", webkit()),
    ],
  },
});
