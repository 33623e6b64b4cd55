import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { PathInfoSchema } from "../../src/wire/gen/tvix/store/v1/pathinfo_pb.ts";
import { pathInfoToTvix } from "../../src/wire/path-info-message.ts";
import { decodeBlobEntry, decodePathInfo, encodeBlobEntry, encodePathInfo } from "../../src/wire/stored-messages.ts";

const corrupt = expect.objectContaining({ name: "StoreError", code: "corrupt" });
const [blob, one, two] = ["blob", "one", "two"].map((text) => digestOf(utf8(text))) as [
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
  ReturnType<typeof digestOf>,
];

describe("the entry of a blob", () => {
  test("is read as it was written", () => {
    const chunks = [
      { digest: one, size: 1 },
      { digest: two, size: 2 },
    ];
    for (const bao of [undefined, Uint8Array.of(1, 2, 3)]) {
      const entry = { chunks, bao };
      expect(decodeBlobEntry(blob, encodeBlobEntry(blob, entry))).toEqual(entry);
    }
  });

  test("takes no bytes only if the blob is its own single chunk", () => {
    expect(encodeBlobEntry(blob, { chunks: [{ digest: blob, size: 4 }] })).toHaveLength(0);
    expect(decodeBlobEntry(blob, new Uint8Array(0))).toEqual({ chunks: [], bao: undefined });
    for (const chunks of [
      [{ digest: one, size: 4 }],
      [
        { digest: blob, size: 4 },
        { digest: one, size: 1 },
      ],
    ])
      expect(decodeBlobEntry(blob, encodeBlobEntry(blob, { chunks })).chunks).toEqual(chunks);
  });

  test("is corrupt if it is not a message, or breaks a rule", () => {
    const bytes = encodeBlobEntry(blob, { chunks: [{ digest: one, size: 1 }] });
    expect(() => decodeBlobEntry(blob, bytes.subarray(0, -1))).toThrow(corrupt);
    expect(() => decodeBlobEntry(blob, Uint8Array.of(0xff))).toThrow(corrupt);
    // A chunk of no bytes.
    const empty = encodeBlobEntry(blob, { chunks: [{ digest: one, size: 0 }] });
    expect(() => decodeBlobEntry(blob, empty)).toThrow(corrupt);
  });
});

describe("a path info", () => {
  const HASH_PART = "00bgd045z0d4icpbc2yyz4gx48ak44la";
  const info: PathInfo = {
    storePath: `/nix/store/${HASH_PART}-thing`,
    node: { kind: "symlink", target: utf8("t") },
    narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    narSize: 120,
    references: [`${HASH_PART}-thing`],
    signatures: [],
  };

  test("is read as it was written", async () => {
    expect(await decodePathInfo(HASH_PART, encodePathInfo(info))).toEqual(info);
  });

  test("is corrupt if it is not a message, breaks a rule, or lacks facts that a remote could fill in", async () => {
    const bytes = encodePathInfo(info);
    await expect(decodePathInfo(HASH_PART, bytes.subarray(0, -1))).rejects.toEqual(corrupt);
    await expect(decodePathInfo(HASH_PART, new Uint8Array(0))).rejects.toEqual(corrupt);
    const message = create(PathInfoSchema, pathInfoToTvix(info));
    message.narinfo = undefined;
    const bare = toBinary(PathInfoSchema, message);
    await expect(decodePathInfo(HASH_PART, bare)).rejects.toEqual(corrupt);
  });
});
