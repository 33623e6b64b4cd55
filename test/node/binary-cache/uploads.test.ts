import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { CacheUploads, memoryRecords, type UploadedNar } from "../../../src/node/binary-cache/uploads.ts";

const CORRUPT = { name: "StoreError", code: "corrupt" };
const digest = digestOf(utf8("content"));
const NAR: UploadedNar = {
  node: { kind: "file", digest, size: 7n, executable: true },
  narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  narSize: 120,
  compression: "bzip2",
};

test("a NAR is found by its name and by its hash", async () => {
  const uploads = new CacheUploads(memoryRecords());
  await uploads.putNar("a.nar", NAR);
  expect(await uploads.nar("a.nar")).toEqual(NAR);
  expect(await uploads.narByHash(NAR.narHash)).toEqual(NAR);
  expect([await uploads.nar("b.nar"), await uploads.narByHash("sha256-x")]).toEqual([undefined, undefined]);
  const kept = { ...NAR, file: { digest, size: 77 } };
  await uploads.putNar("b.nar", kept);
  expect(await uploads.nar("b.nar")).toEqual(kept);
  expect(await uploads.nar("a.nar")).toEqual(NAR);
});

test("a log is found by its derivation", async () => {
  const uploads = new CacheUploads(memoryRecords());
  await uploads.putLog("x.drv", { digest, size: 7 });
  expect(await uploads.log("x.drv")).toEqual({ digest, size: 7 });
  expect(await uploads.log("y.drv")).toBeUndefined();
});

describe("texts", () => {
  test("are updated one after the other for each address", async () => {
    const uploads = new CacheUploads(memoryRecords());
    const add = (letter: string) => uploads.updateText("x", (earlier = "") => earlier + letter);
    await Promise.all([..."abc"].map(add));
    expect(await uploads.text("x")).toBe("abc");
    expect(await uploads.text("y")).toBeUndefined();
  });

  test("are only written if they change, and stay if the update fails", async () => {
    const records = memoryRecords();
    const uploads = new CacheUploads(records);
    await uploads.updateText("x", () => "first");
    const put = vi.spyOn(records, "put");
    await uploads.updateText("x", () => "first");
    const refused = new Error("refused");
    const failing = uploads.updateText("x", () => {
      throw refused;
    });
    await expect(failing).rejects.toBe(refused);
    expect(put).not.toHaveBeenCalled();
    expect(await uploads.text("x")).toBe("first");
  });
});

describe("a damaged record is corrupt", () => {
  const record = { ...NAR, node: "CgA=" };

  test.each<[string, string]>([
    ["no JSON", "{"],
    ["null", "null"],
    ["a text", '"x"'],
    ["no node", JSON.stringify({ ...record, node: undefined })],
    ["a node that is no Base64", JSON.stringify({ ...record, node: "!" })],
    ["a node that is none", JSON.stringify({ ...record, node: "AAAA" })],
    ["no hash", JSON.stringify({ ...record, narHash: 1 })],
    ["no size", JSON.stringify({ ...record, narSize: "1" })],
    ["no compression", JSON.stringify({ ...record, compression: undefined })],
    ["an unknown compression", JSON.stringify({ ...record, compression: "lzop" })],
  ])("of a NAR: %s", async (_, text) => {
    const records = memoryRecords();
    await records.put(new Map([["nar/a.nar", text]]));
    await expect(new CacheUploads(records).nar("a.nar")).rejects.toMatchObject(CORRUPT);
  });

  test.each<[string, string]>([
    ["no JSON", ""],
    ["no digest", JSON.stringify({ size: 1 })],
    ["no size", JSON.stringify({ digest: "00".repeat(32) })],
    ["a short digest", JSON.stringify({ digest: "00", size: 1 })],
    ["a digest that is no hexadecimal", JSON.stringify({ digest: "x".repeat(64), size: 1 })],
  ])("of a log: %s", async (_, text) => {
    const records = memoryRecords();
    await records.put(new Map([["log/x.drv", text]]));
    await expect(new CacheUploads(records).log("x.drv")).rejects.toMatchObject(CORRUPT);
  });
});

test("the size of records in memory is limited, keys included; the least recently used go first", async () => {
  const records = memoryRecords(20_000);
  await records.put(new Map([["first", "1"]]));
  for (let i = 0; i < 1000; i++) {
    await records.put(new Map([[`${i}/${"k".repeat(1000)}`, "x".repeat(1000)]]));
    expect(await records.get("first")).toBe("1");
  }
  let kept = 0;
  for (let i = 0; i < 1000; i++) if (await records.get(`${i}/${"k".repeat(1000)}`)) kept++;
  expect(kept).toBeGreaterThan(0);
  expect(kept).toBeLessThan(6);
});
