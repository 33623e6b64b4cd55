import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

/** Runs `tvix-store-web/conformance` in a project of somebody else, on the package as published. */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
/** Inside the repository, so that the package finds its dependencies. */
const PROJECT = join(ROOT, "test/results", `conformance-${randomUUID()}`);

const BACKEND = (wrapBlobs: string) => `
import { blobServiceSuite, directoryServiceSuite, pathInfoServiceSuite } from "tvix-store-web/conformance";
import { createMemoryStore } from "tvix-store-web/node";

const backend = {
  name: "mine",
  canDelete: true,
  async open() {
    const store = createMemoryStore();
    return { store: { ...store, blobs: ${wrapBlobs} }, close: async () => {} };
  },
};
blobServiceSuite(backend);
directoryServiceSuite(backend);
pathInfoServiceSuite(backend);
`;

interface Results {
  readonly numTotalTests: number;
  readonly testResults: readonly { readonly assertionResults: readonly { status: string; fullName: string }[] }[];
}

beforeAll(async () => {
  const installed = join(PROJECT, "node_modules/tvix-store-web");
  await mkdir(installed, { recursive: true });
  await cp(join(ROOT, "package.json"), join(installed, "package.json"));
  await cp(join(ROOT, "dist"), join(installed, "dist"), {
    recursive: true,
    filter: (path) => !path.startsWith(join(ROOT, "dist/viewer")),
  });
  await writeFile(join(PROJECT, "package.json"), '{ "type": "module" }');
  await writeFile(join(PROJECT, "vitest.config.js"), "export default { test: { testTimeout: 60000 } };");
  await writeFile(join(PROJECT, "good.test.js"), BACKEND("store.blobs"));
  await writeFile(
    join(PROJECT, "forgetful.test.js"),
    BACKEND(
      "new Proxy(store.blobs, { get: (blobs, name) => (name === 'open' ? async () => undefined : blobs[name].bind(blobs)) })",
    ),
  );
});
afterAll(() => rm(PROJECT, { recursive: true, force: true }));

async function failures(file: string): Promise<{ total: number; failed: string[] }> {
  const output = join(PROJECT, `${file}.json`);
  const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", "--root", PROJECT, "--reporter", "json", "--outputFile", output, file];
  // The outer run's variables would make the inner one a worker of it.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("VITEST")));
  await new Promise<void>((resolve) => execFile(process.execPath, args, { cwd: PROJECT, env }, () => resolve()));
  const { numTotalTests, testResults }: Results = JSON.parse(await readFile(output, "utf8"));
  const all = testResults.flatMap(({ assertionResults }) => assertionResults);
  return { total: numTotalTests, failed: all.filter(({ status }) => status === "failed").map(({ fullName }) => fullName) };
}

test("a backend that keeps the rules passes", async () => {
  const { total, failed } = await failures("good.test.js");
  expect(failed).toEqual([]);
  expect(total).toBeGreaterThan(50);
});

test("a backend that breaks a rule fails", async () => {
  const { failed } = await failures("forgetful.test.js");
  expect(failed).toContain("BlobService: mine a large blob comes back whole");
});
