import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { toBase64, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { isStoreError } from "../../src/error.ts";
import { decodeNixbase32 } from "../../src/nix/nixbase32.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { PathInfoSchema as SnixPathInfoSchema } from "../../src/wire/gen/snix/store/v1/pathinfo_pb.ts";
import {
  type NARInfo_CA_Hash,
  PathInfoSchema,
  type PathInfo as TvixPathInfo,
} from "../../src/wire/gen/tvix/store/v1/pathinfo_pb.ts";
import { addExtensions } from "../../src/wire/path-info-extensions.ts";
import { type PathInfoGaps, pathInfoFromMessage, pathInfoToSnix, pathInfoToTvix } from "../../src/wire/path-info-message.ts";
import { decodePathInfo, encodePathInfo } from "../../src/wire/stored-messages.ts";

const HASH_A = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const HASH_B = "1b9p07z77phvv2hf6gm9f28syp39f1ag";
const NAR_HASH = "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=";

const full: PathInfo = {
  storePath: `/nix/store/${HASH_A}-hello-2.12`,
  node: { kind: "file", digest: digestOf(utf8("content")), size: 7n, executable: true },
  narHash: NAR_HASH,
  narSize: 123,
  references: [`${HASH_A}-hello-2.12`, `${HASH_B}-glibc`],
  deriver: `${HASH_B}-hello-2.12.drv`,
  ca: "fixed:r:sha256:1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac",
  signatures: [`key-1:${toBase64(new Uint8Array(64).fill(7))}`],
};

const noGaps: PathInfoGaps = {
  calculateNar: async () => {
    throw new Error("nothing should be missing");
  },
  referenceName: async () => {
    throw new Error("nothing should be missing");
  },
};

/** Makes the message of `full`, with a change. */
function changed(change: (message: TvixPathInfo & { narinfo: NonNullable<TvixPathInfo["narinfo"]> }) => void): TvixPathInfo {
  const message = create(PathInfoSchema, pathInfoToTvix(full));
  const { narinfo } = message;
  if (!narinfo) throw new Error("no narinfo");
  change(Object.assign(message, { narinfo }));
  return message;
}

async function codeOf(message: TvixPathInfo, gaps = noGaps): Promise<string | undefined> {
  try {
    await pathInfoFromMessage(message, gaps);
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

describe("PathInfo message", () => {
  test("is decoded to the same path info under both names, and the bytes are the same", async () => {
    const tvix = toBinary(PathInfoSchema, create(PathInfoSchema, pathInfoToTvix(full)));
    const snix = toBinary(SnixPathInfoSchema, create(SnixPathInfoSchema, pathInfoToSnix(full)));
    expect(snix).toEqual(tvix);
    expect(await pathInfoFromMessage(fromBinary(PathInfoSchema, tvix), noGaps)).toEqual(full);
    expect(await pathInfoFromMessage(fromBinary(SnixPathInfoSchema, snix), noGaps)).toEqual(full);
  });

  test("keeps no part of the buffer from which it was decoded", async () => {
    const digest = digestOf(utf8("content"));
    const nodes: PathInfo["node"][] = [full.node, { kind: "directory", digest, size: 1n }, { kind: "symlink", target: utf8("t") }];
    for (const node of nodes) {
      const received = toBinary(PathInfoSchema, create(PathInfoSchema, pathInfoToTvix({ ...full, node })));
      const info = await pathInfoFromMessage(fromBinary(PathInfoSchema, received), noGaps);
      const kept = info.node.kind === "symlink" ? info.node.target : info.node.digest;
      expect(kept.buffer.byteLength).toBe(kept.byteLength);
    }
  });

  test("leaves out absent facts", async () => {
    const { ca: _ca, deriver: _deriver, ...rest } = full;
    const bare: PathInfo = { ...rest, references: [], signatures: [], node: { kind: "symlink", target: utf8("t") } };
    const message = create(PathInfoSchema, pathInfoToTvix(bare));
    expect(message.narinfo?.ca).toBeUndefined();
    expect(message.narinfo?.deriver).toBeUndefined();
    expect(await pathInfoFromMessage(message, noGaps)).toEqual(bare);
  });

  test("removes one .drv from the deriver, and names the root after the store path", () => {
    const message = pathInfoToTvix({ ...full, deriver: `${HASH_B}-a.drv.drv` });
    expect(message.narinfo?.deriver?.name).toBe("a.drv");
    expect(message.node?.node.value?.name).toEqual(utf8(`${HASH_A}-hello-2.12`));
  });

  test.each([
    ["text:sha256:1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac", 4],
    ["fixed:sha256:1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac", 7],
    ["fixed:sha1:kpcd173cq987hw957sx6m0868wv3x6d9", 5],
    ["fixed:r:sha1:kpcd173cq987hw957sx6m0868wv3x6d9", 1],
    ["fixed:md5:3y8bwfr609h3lh9ch0izcqq7fl", 6],
    ["fixed:r:md5:3y8bwfr609h3lh9ch0izcqq7fl", 3],
  ])("writes and reads the content address %s as type %i", async (ca, type) => {
    const message = create(PathInfoSchema, pathInfoToTvix({ ...full, ca }));
    expect(message.narinfo?.ca?.type).toBe(type);
    expect((await pathInfoFromMessage(message, noGaps)).ca).toBe(ca);
  });

  describe("a fact that tvix and snix have no field for", () => {
    const GIT = "fixed:git:sha1:993998wwkrzrcmpp0slxpa0b0cjkc0ff";
    const infos: [string, Partial<PathInfo>][] = [
      ["a git content address", { ca: GIT }],
      ["a git content address of SHA-256", { ca: `fixed:git:sha256:${"0".repeat(52)}` }],
      ["a BLAKE3 of the NAR", { ca: `fixed:r:blake3:${"0".repeat(52)}` }],
      ["a BLAKE3 of the file", { ca: `fixed:blake3:${"0".repeat(52)}` }],
      ["a deriver without .drv", { deriver: `${HASH_B}-hello-2.12` }],
      ["a deriver that is .drv alone", { deriver: `${HASH_B}-.drv` }],
      ["a deriver whose name would be ..", { deriver: `${HASH_B}-...drv` }],
      ["both", { ca: GIT, deriver: `${HASH_B}-hello-2.12` }],
    ];

    test.each(infos)("is decoded to the same value: %s", async (_, more) => {
      const info = { ...full, ...more };
      const tvix = toBinary(PathInfoSchema, pathInfoToTvix(info));
      expect(toBinary(SnixPathInfoSchema, pathInfoToSnix(info))).toEqual(tvix);
      const received = fromBinary(PathInfoSchema, tvix);
      expect(await pathInfoFromMessage(received, noGaps)).toEqual(info);
      expect(await pathInfoFromMessage(fromBinary(SnixPathInfoSchema, tvix), noGaps)).toEqual(info);
      // Servers and clients pass messages on.
      expect(toBinary(PathInfoSchema, received)).toEqual(tvix);
      expect(await decodePathInfo(HASH_A, encodePathInfo(info))).toEqual(info);
    });

    test.each(infos)("is ignored by other peers, who see an ordinary PathInfo: %s", async (_, more) => {
      const { ca, deriver } = more;
      const message = fromBinary(PathInfoSchema, toBinary(PathInfoSchema, pathInfoToTvix({ ...full, ...more })));
      // A peer that knows only its own fields drops unknown ones.
      message.$unknown = undefined;
      const rest = { ...full, ...(ca !== undefined && { ca: undefined }), ...(deriver !== undefined && { deriver: undefined }) };
      expect(await pathInfoFromMessage(message, noGaps)).toEqual(rest);
    });

    test("is sent only if it is needed", () => {
      expect(pathInfoToTvix(full).$unknown).toBeUndefined();
      expect(pathInfoToSnix(full).$unknown).toBeUndefined();
    });

    const withExtensions = (extensions: { contentAddress?: string; deriver?: string }) =>
      addExtensions(PathInfoSchema, pathInfoToTvix(full), extensions);

    test("may repeat the value of a regular field, but not contradict it", async () => {
      const { ca: contentAddress, deriver } = full as Required<PathInfo>;
      expect(await pathInfoFromMessage(withExtensions({ contentAddress, deriver }), noGaps)).toEqual(full);
      for (const extensions of [
        { contentAddress: GIT },
        { contentAddress: contentAddress.replace(":r", "") },
        { deriver: `${HASH_A}-hello-2.12` },
      ])
        expect(await codeOf(withExtensions(extensions))).toBe("invalid");
    });

    test("is checked like any other field", async () => {
      const bare = (extensions: { contentAddress?: string; deriver?: string }) => {
        const { ca: _ca, deriver: _deriver, ...rest } = full;
        return addExtensions(PathInfoSchema, pathInfoToTvix(rest), extensions);
      };
      expect(await codeOf(bare({ contentAddress: GIT, deriver: `${HASH_A}-x` }))).toBeUndefined();
      for (const extensions of [
        { contentAddress: "fixed:git:sha1:00" },
        { contentAddress: "unheard:of" },
        { contentAddress: "fixed:git:sha1:6f4f1a1a1d8f1a1d8f1a1d8f1a1d8f1a1d8f1a1d" },
        { deriver: "hello" },
        { deriver: `/nix/store/${HASH_A}-x` },
      ])
        expect(await codeOf(bare(extensions)), JSON.stringify(extensions)).toBe("invalid");
      const message = bare({});
      message.$unknown = [{ no: 1000, wireType: 2, data: Uint8Array.of(2, 0xff, 0xfe) }];
      expect(await codeOf(message)).toBe("invalid");
      message.$unknown = [{ no: 1000, wireType: 2, data: Uint8Array.of(9, 0x61) }];
      expect(await codeOf(message)).toBe("invalid");
    });

    test("does not affect other unknown fields", async () => {
      const message = withExtensions({});
      message.$unknown = [{ no: 999, wireType: 0, data: Uint8Array.of(1) }];
      expect(await pathInfoFromMessage(message, noGaps)).toEqual(full);
    });
  });

  test("reads tvix's content addresses, which have a text in place of a digest", async () => {
    const digest = decodeNixbase32("1bn7c3bf5z32cdgylhbp9nzhh6ydib5ngsm6mdhsvf233g0nh1ac");
    const message = changed(({ narinfo }) => {
      narinfo.ca = { $typeName: "tvix.store.v1.NARInfo.CA", type: 0, digest: utf8(`sha256-${toBase64(digest)}`) };
    });
    expect((await pathInfoFromMessage(message, noGaps)).ca).toBe(full.ca);
  });

  test("sorts references, and removes duplicates", async () => {
    const message = changed((message) => {
      message.references.reverse();
      message.references.push(message.references[0] as Uint8Array);
      message.narinfo.referenceNames.reverse();
      message.narinfo.referenceNames.push(message.narinfo.referenceNames[0] as string);
    });
    expect((await pathInfoFromMessage(message, noGaps)).references).toEqual(full.references);
  });

  test.each<[string, Parameters<typeof changed>[0]]>([
    ["no node", (message) => Object.assign(message, { node: undefined })],
    ["a root that is no store path", (message) => Object.assign(message.node?.node.value ?? {}, { name: utf8("hello") })],
    ["a reference of 19 bytes", (message) => (message.references[0] = (message.references[0] as Uint8Array).subarray(1))],
    ["fewer names than references", (message) => message.narinfo.referenceNames.pop()],
    ["a name of another reference", (message) => message.narinfo.referenceNames.reverse()],
    ["an absolute reference name", ({ narinfo }) => (narinfo.referenceNames[1] = `/nix/store/${narinfo.referenceNames[1]}`)],
    ["a NAR hash of 31 bytes", ({ narinfo }) => (narinfo.narSha256 = narinfo.narSha256.subarray(1))],
    ["a NAR size past 2^53", ({ narinfo }) => (narinfo.narSize = 2n ** 53n)],
    ["a signature of 63 bytes", ({ narinfo }) => (narinfo.signatures[0]!.data = new Uint8Array(63))],
    ["a signature of nobody", ({ narinfo }) => (narinfo.signatures[0]!.name = "")],
    ["a deriver with a bad digest", ({ narinfo }) => (narinfo.deriver!.digest = new Uint8Array(19))],
    ["a deriver with a bad name", ({ narinfo }) => (narinfo.deriver!.name = "a/b")],
    ["a deriver without a name", ({ narinfo }) => (narinfo.deriver!.name = "")],
    ["a content address that is too short", ({ narinfo }) => (narinfo.ca!.digest = new Uint8Array(20))],
    ["a content address of an unknown type", ({ narinfo }) => (narinfo.ca!.type = 9 as NARInfo_CA_Hash)],
    ["a content address of broken text", ({ narinfo }) => (narinfo.ca!.digest = utf8("sha256-AAAA"))],
  ])("refuses %s", async (_what, change) => {
    expect(await codeOf(changed(change))).toBe("invalid");
  });

  test("calculates missing facts if there is no narinfo", async () => {
    const message = create(PathInfoSchema, pathInfoToTvix(full));
    message.narinfo = undefined;
    const gaps: PathInfoGaps = {
      calculateNar: async (node) => ({ narHash: NAR_HASH, narSize: node.kind === "file" ? 123 : 0 }),
      referenceName: async (hashPart) => (hashPart === HASH_B ? `${HASH_B}-glibc` : undefined),
    };
    const { ca: _ca, deriver: _deriver, ...rest } = full;
    expect(await pathInfoFromMessage(message, gaps)).toEqual({ ...rest, signatures: [] });
    expect(await codeOf(message, { ...gaps, referenceName: async () => undefined })).toBe("invalid");
  });
});
