import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

/**
 * The zstd library has one instance in a process, which other packages may use too. These tests run
 * programs of their own, because they break the library.
 */

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const OURS = "./dist/node/zstd.js";

/** Runs a program at the top of the repository, and returns what it prints. */
async function run(program: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], { cwd: ROOT });
  return stdout;
}

test("two copies of the package share the library", async () => {
  const stdout = await run(`
    const copies = [await import("${OURS}"), await import("${OURS}?another")];
    await new Promise((resolve) => setTimeout(resolve, 100));
    const input = new Uint8Array(1000).fill(7);
    for (const { compressZstd, decompressZstd } of copies)
      console.log(Buffer.compare(decompressZstd(compressZstd(input), 1000, "it"), input));`);
  expect(stdout).toBe("0\n0\n");
});

test("if another package has initialized the library again, compressing is an error and returns no garbage", async () => {
  const stdout = await run(`
    import { init } from "@bokuweb/zstd-wasm";
    const { compressZstd } = await import("${OURS}");
    compressZstd(new Uint8Array(1000));
    await init();
    let code;
    for (let i = 0; i < 100 && code === undefined; i++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      try { compressZstd(new Uint8Array(1000)); } catch (error) { code = error.code; }
    }
    console.log(code);`);
  expect(stdout).toBe("internal\n");
});
