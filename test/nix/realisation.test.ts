import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  coversRealisation,
  derivationKey,
  formatRealisation,
  hashModuloKey,
  mergeRealisations,
  parseRealisation,
  REALISATION_MAX_LENGTH,
  type Realisation,
} from "../../src/nix/realisation.ts";
import { formatSignature, parseSignature } from "../../src/nix/signature.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });
const ID = `sha256:${"4".repeat(64)}!out`;
const OTHER_ID = `sha256:${"5".repeat(64)}!out`;
const OUT = `${"0".repeat(32)}-x`;
const DRV = `${"1".repeat(32)}-x.drv`;
const KEY = hashModuloKey(ID);

function signature(byte: number): string {
  return `key-${byte}:${Buffer.alloc(64, byte).toString("base64")}`;
}

function json(changes: object = {}): string {
  return JSON.stringify({ dependentRealisations: {}, id: ID, outPath: OUT, signatures: [], ...changes });
}

/** Makes a realisation with signatures of these keys. */
function realisation(keys: number[], dependencies: Record<string, string> = {}, outPath = OUT): Realisation {
  const signatures = keys.map((key) => parseSignature(signature(key)));
  return { outPath, signatures, dependencies: new Map(Object.entries(dependencies)) };
}

const FILES = ["nix-2.34/realisations", "realisations/2.34/realisations", "realisations/2.8/realisations"].flatMap((path) => {
  const folder = join(import.meta.dirname, "../fixtures", path);
  return readdirSync(folder).map((name) => [`${path}/${name}`, name, readFileSync(join(folder, name), "utf8")] as const);
});

test.each(FILES)("a realisation of Nix is read, and written again: %s", (_, name, text) => {
  const key = hashModuloKey(name.slice(0, -".doi".length));
  expect(formatRealisation(parseRealisation(text, key), key)).toBe(text);
});

describe("the name of a realisation", () => {
  test.each([
    "",
    "out",
    ID.slice(0, -4),
    ID.slice(0, -3),
    ID.replace("4", ""),
    ID.replace("4", "A"),
    ID.replace("256", "1"),
    `${ID}/b`,
    `x${ID}`,
  ])("can't be the id %j", (id) => {
    expect(() => hashModuloKey(id)).toThrow(invalid);
  });

  test("can be a derivation and an output", () => {
    expect(derivationKey(DRV, "dev")).toEqual({ kind: "derivation", derivation: DRV, output: "dev" });
    for (const [derivation, output] of [
      [OUT, "out"],
      [`/nix/store/${DRV}`, "out"],
      ["x.drv", "out"],
      [DRV, ""],
      [DRV, "a/b"],
    ] as const)
      expect(() => derivationKey(derivation, output)).toThrow(invalid);
  });
});

test("missing and unknown fields are accepted", () => {
  expect(parseRealisation(JSON.stringify({ id: ID, outPath: OUT, more: [1] }), KEY)).toEqual(realisation([]));
  // The name of a derivation does not occur in the text.
  expect(parseRealisation(JSON.stringify({ outPath: OUT }), derivationKey(DRV, "out"))).toEqual(realisation([]));
});

test("signatures are read in the forms of all versions of Nix", () => {
  const object = { keyName: "key-2", sig: Buffer.alloc(64, 2).toString("base64") };
  expect(parseRealisation(json({ signatures: [signature(1), object] }), KEY)).toEqual(realisation([1, 2]));
});

test.each([
  "",
  "{",
  "[]",
  "null",
  "1",
  json({ id: OTHER_ID }),
  json({ id: undefined }),
  json({ outPath: undefined }),
  json({ outPath: `/nix/store/${OUT}` }),
  json({ outPath: "x" }),
  json({ signatures: "x" }),
  json({ signatures: null }),
  json({ signatures: ["x"] }),
  json({ signatures: [7] }),
  json({ signatures: [{ keyName: "x" }] }),
  json({ signatures: [{ keyName: "a:b", sig: Buffer.alloc(64).toString("base64") }] }),
  json({ dependentRealisations: [] }),
  json({ dependentRealisations: { x: OUT } }),
  json({ dependentRealisations: { [ID]: "x" } }),
  json({ dependentRealisations: { [ID]: 1 } }),
])("refused: %j", (text) => {
  expect(() => parseRealisation(text, KEY)).toThrow(invalid);
});

test("a text may have the maximum length, and no more", () => {
  const text = json();
  expect(parseRealisation(text.padEnd(REALISATION_MAX_LENGTH), KEY)).toEqual(realisation([]));
  expect(() => parseRealisation(text.padEnd(REALISATION_MAX_LENGTH + 1), KEY)).toThrow(invalid);
});

test("signatures and dependencies are written in order, in the form of the name", () => {
  const dependencies = { [OTHER_ID]: OUT, [ID]: OUT };
  const written = formatRealisation(realisation([2, 1], dependencies), KEY);
  expect(written).toBe(
    `{"dependentRealisations":{"${ID}":"${OUT}","${OTHER_ID}":"${OUT}"},"id":"${ID}","outPath":"${OUT}",` +
      `"signatures":["${signature(1)}","${signature(2)}"]}`,
  );
  const objects = [1, 2].map((byte) => ({ keyName: `key-${byte}`, sig: Buffer.alloc(64, byte).toString("base64") }));
  expect(formatRealisation(realisation([2, 1], dependencies), derivationKey(DRV, "out"))).toBe(
    JSON.stringify({ outPath: OUT, signatures: objects }),
  );
});

describe("realisations of the same output", () => {
  const signers = (merged: Realisation | undefined) => merged?.signatures.map(formatSignature);

  test("are merged, with each signature once", () => {
    expect(signers(mergeRealisations(realisation([1, 2]), realisation([2, 3])))).toEqual([1, 2, 3].map(signature));
  });

  test("are merged if one of them names no dependencies", () => {
    const dependencies = { [OTHER_ID]: OUT };
    for (const [a, b] of [
      [dependencies, {}],
      [{}, dependencies],
      [dependencies, dependencies],
    ])
      expect(mergeRealisations(realisation([1], a), realisation([2], b))).toEqual(realisation([1, 2], dependencies));
  });

  test("are not merged if they differ", () => {
    const one = { [OTHER_ID]: OUT };
    expect(mergeRealisations(realisation([1]), realisation([1], {}, DRV))).toBeUndefined();
    for (const other of [{ [ID]: OUT }, { [OTHER_ID]: DRV }, { [OTHER_ID]: OUT, [ID]: OUT }]) {
      expect(mergeRealisations(realisation([1], one), realisation([1], other))).toBeUndefined();
      expect(mergeRealisations(realisation([1], other), realisation([1], one))).toBeUndefined();
    }
  });

  test("cover each other if one has all facts of the other", () => {
    const one = { [OTHER_ID]: OUT };
    expect(coversRealisation(realisation([1, 2]), realisation([2]))).toBe(true);
    expect(coversRealisation(realisation([2]), realisation([1, 2]))).toBe(false);
    expect(coversRealisation(realisation([1], one), realisation([1]))).toBe(true);
    expect(coversRealisation(realisation([1]), realisation([1], one))).toBe(false);
  });
});
