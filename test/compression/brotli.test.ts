import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { BrotliLibrary } from "../../src/compression/brotli.ts";

beforeEach(() => vi.resetModules());
afterEach(() => vi.restoreAllMocks());

async function lengthOf(compression: string): Promise<number> {
  const { decompressedAs } = await import("../../src/compression/decompress.ts");
  const bytes = new Uint8Array(await readFile(join(import.meta.dirname, "samples", `${compression}.one`)));
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  let length = 0;
  for await (const piece of decompressedAs(source(), compression)) length += piece.length;
  return length;
}

const unavailable = { code: "unavailable" };

// The hash for headers, that for the index, and that for content.
test.each([0, 1, 2])("after a hash of xz could not be loaded, its next use loads it again (%i)", async (works) => {
  const real = WebAssembly.instantiate;
  const instantiate = vi.spyOn(WebAssembly, "instantiate");
  for (let i = 0; i < works; i++) instantiate.mockImplementationOnce(real);
  instantiate.mockRejectedValueOnce(new RangeError("out of memory"));
  await expect(lengthOf("xz")).rejects.toMatchObject(unavailable);
  expect(await lengthOf("xz")).toBeGreaterThan(100);
  const before = instantiate.mock.calls.length;
  expect(await lengthOf("xz")).toBeGreaterThan(100);
  // Each input has its own hashes for the index and for content. All inputs share that for headers.
  expect(instantiate.mock.calls.length - before).toBe(2);
});

test.each(["xz", "lzma", "lzip"])(
  "after there was too little memory for the decoder of %s, its next use tries again",
  async (format) => {
    const { Instance } = WebAssembly;
    let failures = 1;
    vi.stubGlobal("WebAssembly", {
      ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)])),
      Instance: class extends Instance {
        constructor(module: WebAssembly.Module, imports?: object) {
          if (failures-- > 0) throw new RangeError("out of memory");
          super(module, imports);
        }
      },
    });
    await expect(lengthOf(format)).rejects.toMatchObject(unavailable);
    expect(await lengthOf(format)).toBeGreaterThan(100);
    vi.unstubAllGlobals();
  },
);

test("a failure to load brotli is retried at the next use", async () => {
  const { provideBrotli } = await import("../../src/compression/brotli.ts");
  await expect(lengthOf("br")).rejects.toMatchObject(unavailable);
  const load = vi.fn(async (): Promise<BrotliLibrary> => {
    if (load.mock.calls.length === 1) throw new Error("no network");
    const library = await import("brotli-dec-wasm/web");
    const path = createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm");
    await library.default({ module_or_path: await readFile(path) });
    return { BrotliDecStream: library.BrotliDecStream };
  });
  provideBrotli(load);
  await expect(lengthOf("br")).rejects.toMatchObject(unavailable);
  expect(await lengthOf("br")).toBeGreaterThan(100);
  expect(load).toHaveBeenCalledTimes(2);
});
