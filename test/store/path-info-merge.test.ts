import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { checkSameContent, mergePathInfo } from "../../src/store/path-info-merge.ts";

const HASH = "0123456789abcdfghijklmnpqrsvwxyz";
const A = `${HASH}-a`;
const B = `${HASH}-b`;

const INFO: PathInfo = {
  storePath: `/nix/store/${HASH}-hello`,
  node: { kind: "symlink", target: utf8("a") },
  narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  narSize: 120,
  references: [A, B],
  deriver: undefined,
  ca: undefined,
  signatures: [],
};
const code = (expected: string) => expect.objectContaining({ name: "StoreError", code: expected });

describe("a put over an earlier path info", () => {
  test("keeps the signatures of both, each once, the earlier ones first", () => {
    const merged = mergePathInfo({ ...INFO, signatures: ["c", "a"] }, { ...INFO, signatures: ["b", "a"] });
    expect(merged.signatures).toEqual(["b", "a", "c"]);
  });

  test("keeps the earlier deriver and content address, and adds those that it lacks", () => {
    const full = { ...INFO, deriver: "new.drv", ca: "new" };
    expect(mergePathInfo(full, INFO)).toEqual(full);
    const earlier = { ...INFO, deriver: "old.drv", ca: "old" };
    expect(mergePathInfo(full, earlier)).toEqual(earlier);
    expect(mergePathInfo(INFO, earlier)).toEqual(earlier);
  });

  test("stores the new node: another size rule gives the same content another node", () => {
    const node = { kind: "symlink", target: utf8("b") } as const;
    expect(mergePathInfo({ ...INFO, node }, INFO).node).toBe(node);
  });

  test.each<[string, Partial<PathInfo>]>([
    ["path", { storePath: `${INFO.storePath}2` }],
    ["NAR hash", { narHash: "sha256-AAAAQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" }],
    ["reference more", { references: [A, B, `${HASH}-c`] }],
    ["reference less", { references: [A] }],
    ["reference", { references: [A, `${HASH}-c`] }],
  ])("is a conflict with another %s", (_, change) => {
    expect(() => mergePathInfo({ ...INFO, ...change }, INFO)).toThrow(code("conflict"));
    expect(() => mergePathInfo(INFO, { ...INFO, ...change })).toThrow(code("conflict"));
  });

  test("is no conflict if the references have another form or order", () => {
    checkSameContent({ ...INFO, references: [`/nix/store/${B}`, A, `/nix/store/${A}`] }, INFO);
    expect(() => checkSameContent({ ...INFO, references: [] }, INFO)).toThrow(code("conflict"));
  });
});

describe("the signatures of a path have at most 256 KiB", () => {
  const half = (letter: string): string => letter.repeat(128 * 1024);

  test("in a new path info", () => {
    const fits = { ...INFO, signatures: [half("a"), half("b")] };
    expect(mergePathInfo(fits, undefined)).toBe(fits);
    expect(() => mergePathInfo({ ...INFO, signatures: [half("a"), half("b"), "c"] }, undefined)).toThrow(code("invalid"));
  });

  test("with those that are added", () => {
    const earlier = { ...INFO, signatures: [half("a")] };
    expect(mergePathInfo({ ...INFO, signatures: [half("b")] }, earlier).signatures).toHaveLength(2);
    expect(() => mergePathInfo({ ...INFO, signatures: [half("b"), "c"] }, earlier)).toThrow(code("invalid"));
  });

  test("but a put that adds none succeeds where an earlier version stored more", () => {
    const signatures = [half("a"), half("b"), "c"];
    expect(mergePathInfo({ ...INFO, signatures: ["c"] }, { ...INFO, signatures }).signatures).toEqual(signatures);
  });
});
