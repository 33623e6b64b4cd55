import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { buildKernel } from "../../src/compression/kernel/build.mjs";

test("the committed LZMA kernel is what its source compiles to", async () => {
  const committed = await readFile(new URL("../../src/compression/kernel/kernel.wasm.ts", import.meta.url), "utf8");
  expect(await buildKernel()).toBe(committed);
}, 120_000);
