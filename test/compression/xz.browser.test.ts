import { expect, test } from "vitest";
import { concatBytes, toHex } from "../../src/bytes.ts";
import { decompressedAs } from "../../src/compression/decompress.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { iterate } from "../../src/stream.ts";
import { XZ_SAMPLES } from "./xz-samples.ts";

test.each(Object.entries(XZ_SAMPLES).flatMap(([hash, names]) => names.map((name) => [name, hash] as const)))(
  "%s is read",
  async (name, hash) => {
    const { body } = await fetch(new URL(`./xz-samples/${name}`, import.meta.url));
    const read: Uint8Array[] = [];
    for await (const bytes of decompressedAs(iterate(body as ReadableStream<Uint8Array>), "xz")) read.push(bytes);
    expect(toHex(await hashBytes("sha256", concatBytes(read)))).toBe(hash);
  },
);
