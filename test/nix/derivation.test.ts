import { describe, expect, test } from "vitest";
import { checkDerivation, type Derivation, type DerivationOutput, outputPathName } from "../../src/nix/derivation.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });
const INPUT = `/nix/store/${"0".repeat(32)}-i.drv`;
const SOURCE = `/nix/store/${"1".repeat(32)}-s`;
const GOOD: Derivation = {
  name: "x",
  outputs: new Map([["out", { kind: "input-addressed" }]]),
  inputDerivations: new Map([[INPUT, new Set(["out"])]]),
  inputSources: new Set([SOURCE]),
  system: "s",
  builder: "b",
  arguments: [],
  environment: new Map(),
};

function fixed(length: number): DerivationOutput {
  return { kind: "fixed", method: "flat", algorithm: "sha256", digest: new Uint8Array(length) };
}
const FLOATING: DerivationOutput = { kind: "floating", method: "nar", algorithm: "sha256" };

test.each<[string, Partial<Derivation>]>([
  ["inputs and sources", {}],
  // With `.drv` it has the 211 characters that a store path's name may have.
  ["the longest name", { name: "x".repeat(207) }],
  ["a fixed output", { outputs: new Map([["out", fixed(32)]]) }],
  ["several floating outputs", { outputs: new Map(["out", "dev"].map((name) => [name, FLOATING])) }],
  ["any variable but an empty one", { environment: new Map([["a b\n", ""]]) }],
])("accepted: %s", (_, changes) => {
  checkDerivation({ ...GOOD, ...changes });
});

test.each<[string, Partial<Derivation>]>([
  ["a name with a blank", { name: "a b" }],
  ["a name that is too long", { name: "x".repeat(208) }],
  ["a name that is too long for a store path of an output", { name: "x".repeat(206), outputs: new Map([["lib-dev", FLOATING]]) }],
  ["no outputs", { outputs: new Map() }],
  ["an output named drv", { outputs: new Map([["drv", FLOATING]]) }],
  ["a needed output named drv", { inputDerivations: new Map([[INPUT, new Set(["drv"])]]) }],
  [
    "outputs of different kinds",
    {
      outputs: new Map<string, DerivationOutput>([
        ["out", FLOATING],
        ["dev", { kind: "input-addressed" }],
      ]),
    },
  ],
  ["a fixed output with another name", { outputs: new Map([["dev", fixed(32)]]) }],
  [
    "a fixed output beside another",
    {
      outputs: new Map([
        ["out", fixed(32)],
        ["dev", fixed(32)],
      ]),
    },
  ],
  ["a digest that is too short", { outputs: new Map([["out", fixed(31)]]) }],
  ["a digest that is too long", { outputs: new Map([["out", fixed(33)]]) }],
  ["a text by SHA-1", { outputs: new Map([["out", { kind: "floating", method: "text", algorithm: "sha1" }]]) }],
  [
    "an output path in another store",
    { outputs: new Map([["out", { kind: "input-addressed", path: SOURCE.replace("nix", "gnu") }]]) },
  ],
  ["an input that is not a derivation", { inputDerivations: new Map([[SOURCE, new Set(["out"])]]) }],
  ["an input by its base name", { inputDerivations: new Map([[INPUT.slice(11), new Set(["out"])]]) }],
  ["an input of which nothing is needed", { inputDerivations: new Map([[INPUT, new Set<string>()]]) }],
  ["a source by its base name", { inputSources: new Set([SOURCE.slice(11)]) }],
  ["no system", { system: "" }],
  ["no builder", { builder: "" }],
  ["a variable without a name", { environment: new Map([["", ""]]) }],
  ["a variable with =", { environment: new Map([["a=b", ""]]) }],
  ["a variable with a zero byte", { environment: new Map([["a\0", ""]]) }],
])("refused: %s", (_, changes) => {
  expect(() => checkDerivation({ ...GOOD, ...changes })).toThrow(invalid);
});

test("paths are checked against the store directory", () => {
  const moved = {
    ...GOOD,
    inputDerivations: new Map([[INPUT.replace("nix", "gnu"), new Set(["out"])]]),
    inputSources: new Set([SOURCE.replace("nix", "gnu")]),
  };
  checkDerivation(moved, "/gnu/store");
  expect(() => checkDerivation(moved)).toThrow(invalid);
});

describe("the name in the store path of an output", () => {
  test("has the name of the output, unless that is out", () => {
    expect(outputPathName("x", "out")).toBe("x");
    expect(outputPathName("x", "dev")).toBe("x-dev");
  });
});
