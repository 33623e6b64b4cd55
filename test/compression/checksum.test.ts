import { crc32 } from "node:zlib";
import { createCRC32 } from "hash-wasm";
import { expect, test } from "vitest";
import { utf8, viewOf } from "../../src/bytes.ts";
import { Checksum } from "../../src/compression/checksum.ts";

const TEXT = utf8("123456789");

const numberOf = (digest: Uint8Array): number => viewOf(digest).getUint32(0, false);

test("the checksum of bytes, and of content in pieces, is that of zlib", async () => {
  const checksum = await Checksum.loaded("xz", createCRC32).get();
  for (const bytes of [TEXT, new Uint8Array(0)]) expect(numberOf(checksum.of(bytes))).toBe(crc32(bytes));
  const running = checksum.begin();
  expect(numberOf(running.digest())).toBe(crc32(""));
  for (let i = 0; i < TEXT.length; i += 4) running.update(TEXT.subarray(i, i + 4));
  expect([numberOf(running.digest()), numberOf(running.digest())]).toEqual([crc32(TEXT), crc32(TEXT)]);
});

test("contents that are read at the same time don't mix", async () => {
  const checksum = await Checksum.loaded("xz", createCRC32).get();
  const [one, other] = [checksum.begin(), checksum.begin()];
  one.update(TEXT.subarray(0, 4));
  other.update(utf8("other"));
  checksum.of(utf8("a third"));
  one.update(TEXT.subarray(4));
  expect([numberOf(other.digest()), numberOf(one.digest())]).toEqual([crc32("other"), crc32(TEXT)]);
});

test("a checksum that can't be loaded is unavailable, and loaded again at the next use", async () => {
  let failures = 1;
  const loaded = Checksum.loaded("lzip", async () => {
    if (failures-- > 0) throw new RangeError("out of memory");
    return createCRC32();
  });
  await expect(loaded.get()).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("lzip") });
  const checksum = await loaded.get();
  expect(numberOf(checksum.of(TEXT))).toBe(crc32(TEXT));
  expect(await loaded.get()).toBe(checksum);
});
