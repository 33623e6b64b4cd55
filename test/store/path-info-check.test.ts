import { describe, expect, test } from "vitest";
import type { PathInfo } from "../../src/store/path-info.ts";
import { checkNarSizeAndHash, checkPathInfo, normalizePathInfo } from "../../src/store/path-info-check.ts";

const HASH = "0123456789abcdfghijklmnpqrsvwxyz";
const OTHER = "zyxwvsrqpnmlkjihgfdcba9876543210";
const SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const NIX32 = "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
const SIGNATURE = `key-1:${"A".repeat(86)}==`;

const INFO: PathInfo = {
  storePath: `/nix/store/${HASH}-hello-1.0`,
  node: { kind: "symlink", target: new Uint8Array([0x61]) },
  narHash: SRI,
  narSize: 120,
  references: [`${HASH}-hello-1.0`, `${OTHER}-libc`],
  deriver: `${OTHER}-hello-1.0.drv`,
  ca: `fixed:r:${NIX32}`,
  signatures: [SIGNATURE],
};

/** Returns the error that `call` throws, or `undefined`. */
function thrown(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe("checkPathInfo", () => {
  test("accepts a valid path info", () => {
    expect(thrown(() => checkPathInfo(INFO))).toBeUndefined();
    const least: PathInfo = {
      storePath: INFO.storePath,
      node: INFO.node,
      narHash: SRI,
      narSize: 1,
      references: [],
      signatures: [],
    };
    expect(thrown(() => checkPathInfo(least))).toBeUndefined();
  });

  test("accepts a deriver that doesn't end in .drv, as Nix does, and each kind of content address", () => {
    for (const name of ["hello-1.0", ".drv"])
      expect(thrown(() => checkPathInfo({ ...INFO, deriver: `${OTHER}-${name}` }))).toBeUndefined();
    for (const ca of [
      "fixed:git:sha1:993998wwkrzrcmpp0slxpa0b0cjkc0ff",
      `fixed:git:${NIX32}`,
      `fixed:r:${NIX32.replace("sha256", "blake3")}`,
      `fixed:${NIX32.replace("sha256", "blake3")}`,
    ])
      expect(thrown(() => checkPathInfo({ ...INFO, ca }))).toBeUndefined();
  });

  test.each<[string, Partial<PathInfo>]>([
    ["a store path that is not absolute", { storePath: `${HASH}-hello-1.0` }],
    ["a store path elsewhere", { storePath: `/gnu/store/${HASH}-hello-1.0` }],
    ["a path inside a store path", { storePath: `${INFO.storePath}/bin` }],
    ["a bad hash part", { storePath: `/nix/store/${HASH.replace("a", "e")}-hello` }],
    ["a bad node", { node: { kind: "symlink", target: new Uint8Array(0) } }],
    ["a NAR hash in another form", { narHash: NIX32 }],
    ["a NAR hash that is no sha256", { narHash: "sha1-2jmj7l5rSw0yVb/vlWAYkK/YBwk=" }],
    ["a NAR hash cut short", { narHash: SRI.replace("47DE", "") }],
    ["a negative size", { narSize: -1 }],
    ["a size of 0, by which Nix says that it doesn't know it", { narSize: 0 }],
    ["a size that is not whole", { narSize: 1.5 }],
    ["a size that a number can't hold", { narSize: 2 ** 53 }],
    ["references out of order", { references: [...INFO.references].reverse() }],
    ["a reference twice", { references: [`${OTHER}-libc`, `${OTHER}-libc`] }],
    ["an absolute reference", { references: [`/nix/store/${OTHER}-libc`] }],
    ["a reference without a name", { references: [OTHER] }],
    ["a deriver that is no store path", { deriver: "hello-1.0.drv" }],
    ["a deriver without a name", { deriver: `${OTHER}-` }],
    ["an absolute deriver", { deriver: `/nix/store/${OTHER}-hello-1.0.drv` }],
    ["no deriver, in Nix's words", { deriver: "unknown-deriver" }],
    ["an unknown content address", { ca: `git:${NIX32}` }],
    ["a git content address by another hash", { ca: "fixed:git:md5:3y8bwfr609h3lh9ch0izcqq7fl" }],
    ["a content address in another form", { ca: `fixed:r:${SRI}` }],
    ["a text content address that is no sha256", { ca: "text:sha1:0jwz6nv6vjhvpzrzjk1zrqz2m0zrb1mv" }],
    ["a signature cut short", { signatures: ["key-1:AAAA"] }],
    ["a signature without a name", { signatures: [SIGNATURE.slice(5)] }],
  ])("rejects %s", (_, change) => {
    const info = { ...INFO, ...change };
    const error = thrown(() => checkPathInfo(info));
    expect(error).toMatchObject({ code: "invalid" });
    expect(String(error)).toContain(info.storePath);
  });
});

describe("normalizePathInfo", () => {
  test("converts every form that Nix writes to ours", () => {
    const loose: PathInfo = {
      ...INFO,
      storePath: `${HASH}-hello-1.0`,
      narHash: NIX32,
      references: [`/nix/store/${OTHER}-libc`, `${HASH}-hello-1.0`, `${OTHER}-libc`],
      deriver: `/nix/store/${OTHER}-hello-1.0.drv`,
      ca: "fixed:r:sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
      signatures: [SIGNATURE, SIGNATURE],
    };
    expect(normalizePathInfo(loose)).toEqual(INFO);
    expect(normalizePathInfo({ ...INFO, deriver: "unknown-deriver" }).deriver).toBeUndefined();
    for (const ca of ["", "unheard:of", `fixed:tar:${NIX32}`, "fixed:r:sha3:00", "text:md5:00"])
      expect(normalizePathInfo({ ...INFO, ca }).ca).toBeUndefined();
  });

  test("still rejects invalid values", () => {
    expect(thrown(() => normalizePathInfo({ ...INFO, narSize: -1 }))).toMatchObject({ code: "invalid" });
    expect(thrown(() => normalizePathInfo({ ...INFO, references: ["x"] }))).toMatchObject({ code: "invalid" });
    expect(thrown(() => normalizePathInfo({ ...INFO, ca: "fixed:r:sha256:00" }))).toMatchObject({ code: "invalid" });
  });
});

test("checkNarSizeAndHash refuses another size or hash as corrupt", () => {
  const { narSize, narHash } = INFO;
  expect(thrown(() => checkNarSizeAndHash(INFO, { narSize, narHash }))).toBeUndefined();
  const corrupt = { name: "StoreError", code: "corrupt" };
  expect(thrown(() => checkNarSizeAndHash(INFO, { narSize: narSize + 8, narHash }))).toMatchObject(corrupt);
  expect(thrown(() => checkNarSizeAndHash(INFO, { narSize, narHash: SRI.replace("47", "48") }))).toMatchObject(corrupt);
});
