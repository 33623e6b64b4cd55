import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { buildKernel } from "../../src/hash/kernel/build.mjs";

test("the committed kernel is what its source compiles to", async () => {
  const committed = await readFile(new URL("../../src/hash/kernel/kernel.wasm.ts", import.meta.url), "utf8");
  expect(await buildKernel()).toBe(committed);
}, 120_000);
