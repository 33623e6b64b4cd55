import { playwright } from "@vitest/browser-playwright";
import { defineConfig } from "vitest/config";
import { chromiumPath } from "./test/setup/tools.ts";

/** Of the tests. The viewer is built by demo/vite.config.ts. */
export default defineConfig({
  test: {
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
      {
        optimizeDeps: {
          include: [
            "hash-wasm",
            "idb",
            "comlink",
            "@bufbuild/protobuf",
            "@bufbuild/protobuf/wire",
            "@bufbuild/protobuf/codegenv2",
            "@connectrpc/connect",
            "@connectrpc/connect/protocol",
            "@connectrpc/connect/protocol-connect",
            "@connectrpc/connect/protocol-grpc-web",
          ],
        },
        test: {
          name: "browser",
          include: ["test/**/*.browser.test.ts"],
          globalSetup: ["test/conformance/daemon-for-browser.ts"],
          testTimeout: 60_000,
          hookTimeout: 60_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            provider: playwright({
              launchOptions: { executablePath: chromiumPath(), args: ["--no-sandbox", "--disable-dev-shm-usage"] },
            }),
            instances: [{ browser: "chromium" }],
          },
        },
      },
    ],
  },
});
