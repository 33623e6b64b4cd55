import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { INPUT_SIZE, LzmaKernel } from "../../../src/compression/kernel/lzma-kernel.ts";
import { pieces } from "../../setup/pieces.ts";
import { sample, whole } from "../streams.ts";

const unavailable = { code: "unavailable" };

/** Appends bytes to the dictionary's buffer. */
function store(kernel: LzmaKernel, bytes: Uint8Array): void {
  kernel.supply(bytes);
  kernel.exports.store_input(0, bytes.length);
}

test("the dictionary's buffer becomes longer, and keeps its content", () => {
  const kernel = new LzmaKernel();
  kernel.exports.open(1 << 20);
  const bytes = Uint8Array.from({ length: INPUT_SIZE }, (_, i) => (i * 7) >> 3);
  const first = kernel.exports.length.value;
  store(kernel, bytes.subarray(0, 100));
  for (const length of [first + 1, first + 65_536, first + 65_536, 1 << 20]) {
    kernel.lengthen(length);
    expect(kernel.exports.length.value).toBe(length);
    expect(kernel.copy(0, 100)).toEqual(bytes.slice(0, 100));
  }
  for (let i = 0; i < 8; i++) store(kernel, bytes);
  expect(kernel.exports.at.value).toBe(100 + 8 * INPUT_SIZE);
  expect(Buffer.compare(kernel.copy(100 + 7 * INPUT_SIZE, 100 + 8 * INPUT_SIZE), bytes)).toBe(0);
});

test("instances don't share their memory", () => {
  const [one, other] = [new LzmaKernel(), new LzmaKernel()];
  for (const { exports } of [one, other]) exports.open(4096);
  store(one, Uint8Array.of(1, 2, 3));
  store(other, Uint8Array.of(9));
  expect([...one.copy(0, 3)]).toEqual([1, 2, 3]);
  expect([...other.copy(0, 3)]).toEqual([9, 0, 0]);
});

test("too little memory for a longer buffer is an error, after which the kernel still works", () => {
  const kernel = new LzmaKernel();
  kernel.exports.open(4096);
  const before = kernel.exports.length.value;
  // WebAssembly has at most 4 GiB.
  expect(() => kernel.lengthen(2 ** 32)).toThrow(expect.objectContaining(unavailable));
  expect(kernel.exports.length.value).toBe(before);
  store(kernel, Uint8Array.of(5));
  expect([...kernel.copy(0, 1)]).toEqual([5]);
});

describe("too little memory for an instance is an error, and the next use tries again", () => {
  let failures = 1;
  beforeEach(() => {
    failures = 1;
    const { Instance } = WebAssembly;
    vi.stubGlobal("WebAssembly", {
      ...Object.fromEntries(Object.getOwnPropertyNames(WebAssembly).map((name) => [name, Reflect.get(WebAssembly, name)])),
      Instance: class extends Instance {
        constructor(module: WebAssembly.Module, imports?: object) {
          if (failures-- > 0) throw new RangeError("out of memory");
          super(module, imports);
        }
      },
    });
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  test.each(["xz", "lzma", "lzip"])("%s", async (format) => {
    // Without idle decoders of other tests.
    vi.resetModules();
    const { decompressedAs } = await import("../../../src/compression/decompress.ts");
    const bytes = await sample(`${format}.one`);
    const read = () => whole(decompressedAs(pieces(bytes, 1000), format));
    await expect(read()).rejects.toMatchObject(unavailable);
    expect((await read()).length).toBe(492);
  });
});
