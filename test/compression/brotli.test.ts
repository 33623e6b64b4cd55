import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { expect, test, vi } from "vitest";
import { concatBytes } from "../../src/bytes.ts";
import { type BrotliLibrary, provideBrotli, unbrotli } from "../../src/compression/brotli.ts";
import { inputOf, ONE, sample, whole } from "./streams.ts";

async function loadLibrary(): Promise<BrotliLibrary> {
  const library = await import("brotli-dec-wasm/web");
  const path = createRequire(import.meta.url).resolve("brotli-dec-wasm/web/bg.wasm");
  await library.default({ module_or_path: await readFile(path) });
  return { BrotliDecStream: library.BrotliDecStream };
}

const bytes = await sample("br.one");
const read = async () => Buffer.from(await whole(unbrotli(inputOf(bytes, 20)))).toString();

test("a failure to load brotli is retried at the next use", async () => {
  await expect(read()).rejects.toMatchObject({ code: "unavailable" });
  const load = vi.fn(async (): Promise<BrotliLibrary> => {
    if (load.mock.calls.length === 1) throw new Error("no network");
    return loadLibrary();
  });
  provideBrotli(load);
  await expect(read()).rejects.toMatchObject({ code: "unavailable" });
  expect(await read()).toBe(ONE);
  expect(await read()).toBe(ONE);
  expect(load).toHaveBeenCalledTimes(2);
});

test("a stream is freed at its end, after an error, and when its reader leaves", async () => {
  const { BrotliDecStream } = await loadLibrary();
  const freed = vi.fn();
  class Counted extends BrotliDecStream {
    override free(): void {
      freed();
      super.free();
    }
  }
  provideBrotli(async () => ({ BrotliDecStream: Counted }));
  expect(await read()).toBe(ONE);
  expect(freed).toHaveBeenCalledTimes(1);
  await expect(whole(unbrotli(inputOf(bytes.subarray(0, 50))))).rejects.toThrow("cut short");
  expect(freed).toHaveBeenCalledTimes(2);
  await expect(whole(unbrotli(inputOf(new Uint8Array(100).fill(0xff))))).rejects.toThrow();
  expect(freed).toHaveBeenCalledTimes(3);
  const left = unbrotli(inputOf(await sample("zeros.br")));
  await left.next();
  await left.return(undefined);
  expect(freed).toHaveBeenCalledTimes(4);
});

test("zeros come in pieces of at most 256 KiB, and bytes after the stream are left", async () => {
  provideBrotli(loadLibrary);
  const input = inputOf(concatBytes([await sample("zeros.br"), Uint8Array.of(1, 2, 3)]));
  let length = 0;
  for await (const piece of unbrotli(input)) {
    expect(piece.length).toBeGreaterThan(0);
    expect(piece.length).toBeLessThanOrEqual(256 * 1024);
    length += piece.length;
  }
  expect(length).toBe(16 * 1024 * 1024);
  expect(input.bytes).toEqual(Uint8Array.of(1, 2, 3));
});
