import { describe, expect, test } from "vitest";
import { toHex } from "../../src/bytes.ts";
import type { Derivation } from "../../src/nix/derivation.ts";
import {
  type DerivationHash,
  derivationPath,
  hashDerivation,
  outputPaths,
  withOutputPaths,
} from "../../src/nix/derivation-paths.ts";
import { formatStorePath, storePathBaseName } from "../../src/nix/store-path.ts";
import { DERIVATIONS_2_8 } from "./derivation-folder.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

describe.each(DERIVATIONS_2_8.files)("%s, as Nix wrote it", (file) => {
  test("has the store path that is calculated from it", async () => {
    expect(storePathBaseName(await derivationPath(DERIVATIONS_2_8.parsed(file)))).toBe(file);
  });

  test("has the output paths that are calculated from it", async () => {
    const derivation = DERIVATIONS_2_8.parsed(file);
    const unknown = new Map([...derivation.outputs.keys()].map((name) => [name, undefined] as const));
    const paths = await outputPaths(withOutputPaths(derivation, unknown), DERIVATIONS_2_8.inputHash);
    const found = [...paths].map(([name, path]) => [name, path && formatStorePath(path)]);
    expect(found).toEqual([...derivation.outputs].map(([name, output]) => [name, "path" in output ? output.path : undefined]));
    expect(withOutputPaths(derivation, paths)).toEqual(derivation);
  });
});

const A = `/nix/store/${"0".repeat(32)}-a.drv`;
const B = `/nix/store/${"1".repeat(32)}-b.drv`;
const SMALL: Derivation = {
  name: "x",
  outputs: new Map([["out", { kind: "input-addressed" }]]),
  inputDerivations: new Map([[A, new Set(["out"])]]),
  inputSources: new Set(),
  system: "s",
  builder: "b",
  arguments: [],
  environment: new Map(),
};

function hash(byte: number, facts: Partial<DerivationHash> = {}): DerivationHash {
  return { of: () => new Uint8Array(32).fill(byte), isDeferred: false, isDeferredTo234: false, ...facts };
}

async function out(derivation: Derivation, input: DerivationHash, rule?: "2.34"): Promise<string | undefined> {
  const path = (await outputPaths(derivation, () => input, undefined, { rule })).get("out");
  return path && formatStorePath(path);
}

describe("output paths", () => {
  test("follow from the hashes of the inputs, not from their store paths", async () => {
    const path = await out(SMALL, hash(1));
    expect(await out({ ...SMALL, inputDerivations: new Map([[B, new Set(["out"])]]) }, hash(1))).toBe(path);
    expect(await out(SMALL, hash(2))).not.toBe(path);
  });

  test("join inputs that have the same hash", async () => {
    const one = { ...SMALL, inputDerivations: new Map([[A, new Set(["dev", "out"])]]) };
    const two = new Map([
      [B, new Set(["out"])],
      [A, new Set(["dev"])],
    ]);
    expect(await out({ ...SMALL, inputDerivations: two }, hash(1))).toBe(await out(one, hash(1)));
  });

  test("don't depend on the output paths that the derivation states", async () => {
    const named = { ...SMALL, environment: new Map([["out", "x"]]) };
    const stated = withOutputPaths(named, new Map([["out", { digest: new Uint8Array(20), name: "x" }]]));
    expect(stated.environment.get("out")).toMatch(/^\/nix\/store\/0{32}-x$/);
    expect(await out(stated, hash(1))).toBe(await out(named, hash(1)));
    expect(await out(named, hash(1))).not.toBe(await out(SMALL, hash(1)));
  });

  test.each([
    ["known", {}, true, true],
    ["deferred since Nix 2.35", { isDeferred: true }, true, false],
    ["deferred in every version", { isDeferred: true, isDeferredTo234: true }, false, false],
  ])("of a derivation with an input that is %s", async (_, facts, isKnownTo234, isKnown) => {
    expect((await out(SMALL, hash(1, facts), "2.34")) !== undefined).toBe(isKnownTo234);
    expect((await out(SMALL, hash(1, facts))) !== undefined).toBe(isKnown);
    const { isDeferred, isDeferredTo234 } = await hashDerivation(SMALL, () => hash(1, facts));
    expect([isDeferredTo234, isDeferred]).toEqual([!isKnownTo234, !isKnown]);
  });

  test("are unknown for floating and impure outputs, and for everything that needs them", async () => {
    for (const kind of ["floating", "impure"] as const) {
      const derivation: Derivation = { ...SMALL, outputs: new Map([["out", { kind, method: "nar", algorithm: "sha256" }]]) };
      expect(await out(derivation, hash(1), "2.34")).toBeUndefined();
      expect(await hashDerivation(derivation, () => hash(1))).toMatchObject({ isDeferred: true, isDeferredTo234: true });
    }
  });

  test("of a fixed output don't depend on inputs, not even on unknown ones", async () => {
    const digest = new Uint8Array(32).fill(7);
    const fixed: Derivation = {
      ...SMALL,
      outputs: new Map([["out", { kind: "fixed", method: "flat", algorithm: "sha256", digest }]]),
    };
    const never = (): never => {
      throw new Error("not reached");
    };
    const paths = await outputPaths(fixed, never);
    expect(paths.get("out")).toBeDefined();
    const hashed = await hashDerivation(fixed, never);
    expect(hashed).toMatchObject({ isDeferred: false, isDeferredTo234: false });
    const other = await hashDerivation({ ...fixed, builder: "c", inputDerivations: new Map() }, never);
    expect(toHex(other.of("out"))).toBe(toHex(hashed.of("out")));
  });
});

test("output paths are filled in only where they are known, and in variables that the derivation has", () => {
  const derivation = { ...SMALL, environment: new Map([["out", ""]]) };
  expect(withOutputPaths(derivation, new Map()).environment.get("out")).toBe("");
  const path = { digest: new Uint8Array(20), name: "x" };
  const filled = withOutputPaths(SMALL, new Map([["out", path]]), "/other/store");
  expect(filled.outputs.get("out")).toEqual({ kind: "input-addressed", path: `/other/store/${"0".repeat(32)}-x` });
  expect(filled.environment.size).toBe(0);
  const floating: Derivation = { ...SMALL, outputs: new Map([["out", { kind: "floating", method: "nar", algorithm: "sha256" }]]) };
  expect(withOutputPaths(floating, new Map([["out", path]])).outputs).toEqual(floating.outputs);
});

test("a broken derivation has neither a path, nor a hash, nor output paths", async () => {
  const broken = { ...SMALL, builder: "" };
  await expect(derivationPath(broken)).rejects.toThrow(invalid);
  await expect(hashDerivation(broken, () => hash(1))).rejects.toThrow(invalid);
  await expect(outputPaths(broken, () => hash(1))).rejects.toThrow(invalid);
});
