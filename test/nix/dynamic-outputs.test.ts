import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { Derivation } from "../../src/nix/derivation.ts";
import { formatDerivation, parseDerivation } from "../../src/nix/derivation-file.ts";
import { derivationFromJson } from "../../src/nix/derivation-from-json.ts";
import { derivationToJson, formatDerivationJson } from "../../src/nix/derivation-json.ts";
import { derivationPath, outputPaths } from "../../src/nix/derivation-paths.ts";
import type { NeededOutputs } from "../../src/nix/dynamic-outputs.ts";
import { formatStorePath, storePathBaseName } from "../../src/nix/store-path.ts";
import { expectLinear } from "../setup/processor-time.ts";
import { DERIVATIONS_2_34, derivationName } from "./derivation-folder.ts";
import { nextFixture } from "./nix-2.34.ts";

const { files: FILES, inputHash } = DERIVATIONS_2_34;
const parsed = (file: string): Derivation => DERIVATIONS_2_34.parsed(file);
const named = (name: string): Derivation => DERIVATIONS_2_34.named(name);
const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

/**
 * Derivations with output paths in Nix 2.34 but not in 2.35: the content of the derivation that
 * builds their dynamic input is known.
 */
const KNOWN_TO_234 = ["dynamic-known", "dynamic-structured", "below-dynamic-known"];

describe.each(FILES)("%s, as Nix 2.34 wrote it", (file) => {
  test("is written again byte for byte, and has its store path", async () => {
    const text = Buffer.from(nextFixture(`derivations/${file}`)).toString("latin1");
    expect(text.startsWith("DrvWithVersion(")).toBe(parsed(file).dynamicInputs !== undefined);
    expect(Buffer.from(formatDerivation(parsed(file))).toString("latin1")).toBe(text);
    expect(storePathBaseName(await derivationPath(parsed(file)))).toBe(file);
  });

  test("has the output paths that follow from it", async () => {
    const derivation = parsed(file);
    const shown = (paths: Awaited<ReturnType<typeof outputPaths>>) =>
      [...paths].map(([name, path]) => [name, path && formatStorePath(path)]);
    const written = [...derivation.outputs].map(([name, output]) => [name, "path" in output ? output.path : undefined]);
    expect(shown(await outputPaths(derivation, inputHash, "/nix/store", { rule: "2.34" }))).toEqual(written);
    const since235 = KNOWN_TO_234.includes(derivationName(file)) ? written.map(([name]) => [name, undefined]) : written;
    expect(shown(await outputPaths(derivation, inputHash))).toEqual(since235);
  });
});

test("the fixtures have dynamic inputs of each kind", () => {
  for (const name of KNOWN_TO_234) expect([...named(name).outputs.values()].every((output) => "path" in output)).toBe(true);
  for (const name of ["dynamic", "below-dynamic"]) expect([...named(name).outputs.values()]).toEqual([{ kind: "input-addressed" }]);
  expect(named("dynamic-floating").outputs.get("out")?.kind).toBe("floating");
  expect(named("dynamic-fixed").outputs.get("out")?.kind).toBe("fixed");
  const several = named("dynamic-several");
  expect([...several.inputDerivations.values()].map((names) => [...names])).toContainEqual(["out"]);
  const out = [...(several.dynamicInputs?.values() ?? [])].map((outputs) => outputs.get("out") as NeededOutputs);
  expect(out.map(({ outputs }) => [...outputs])).toContainEqual(["dev", "out"]);
  expect(out.flatMap(({ dynamicOutputs }) => [...dynamicOutputs.keys()])).toEqual(["10", "9", "__proto__", "a", "a+b", "b"]);
});

const P = `/nix/store/${"0".repeat(32)}-p.drv.drv`;
const dynamic = (inputs: string) => `DrvWithVersion("xp-dyn-drv",[("out","","","")],[${inputs}],[],"s","b",[],[])`;
const plain = (inputs: string) => `Derive([("out","","","")],[${inputs}],[],"s","b",[],[])`;
const needed = (depth: number) => `${'([],[("a",'.repeat(depth)}["out"]${")])".repeat(depth)}`;

test("a file in the new form may have no dynamic outputs, and is then written in the old form", () => {
  for (const inputs of [`("${P}",["out"])`, `("${P}",(["out"],[]))`]) {
    const derivation = parseDerivation(utf8(dynamic(inputs)), "x");
    expect(derivation.dynamicInputs).toBeUndefined();
    expect(new TextDecoder().decode(formatDerivation(derivation))).toBe(plain(`("${P}",["out"])`));
  }
});

test("dynamic outputs in any order are written in order, in each format", async () => {
  const text = dynamic(`("${P}",(["b","a"],[("z",["y","x"]),("A",([],[("c",["d"]),("B",["d"])]))]))`);
  const written = dynamic(`("${P}",(["a","b"],[("A",([],[("B",["d"]),("c",["d"])])),("z",["x","y"])]))`);
  const derivation = parseDerivation(utf8(text), "x");
  expect(new TextDecoder().decode(formatDerivation(derivation))).toBe(written);
  const node = (outputs: string[], dynamicOutputs = {}) => ({ outputs, dynamicOutputs });
  const input = node(["a", "b"], { A: node([], { B: node(["d"]), c: node(["d"]) }), z: node(["x", "y"]) });
  expect(derivationToJson(derivation).inputDrvs).toEqual({ [P]: input });
  expect(derivationToJson(derivation, { version: 4 }).inputs.drvs).toEqual({ [P.slice(11)]: input });
  for (const version of [1, 4] as const)
    expect(await derivationFromJson(formatDerivationJson(derivation, { version }), { name: "x" })).toEqual(derivation);
});

test("dynamic outputs may be nested 100 deep", async () => {
  const text = dynamic(`("${P}",${needed(100)})`);
  const derivation = parseDerivation(utf8(text), "x");
  expect(new TextDecoder().decode(formatDerivation(derivation))).toBe(text);
  const json = formatDerivationJson(derivation, { version: 4 });
  expect(await derivationFromJson(json)).toEqual(derivation);
  const deeper = json.replace('{"dynamicOutputs":{},"outputs":["out"]}', '{"dynamicOutputs":{"a":$&},"outputs":[]}');
  expect(deeper.length).toBeGreaterThan(json.length);
  await expect(derivationFromJson(deeper)).rejects.toThrow(invalid);
});

test("300,000 dynamic outputs side by side are read in time that grows with their number", { timeout: 180_000 }, async () => {
  const withOutputs = (count: number): string =>
    dynamic(`("${P}",([],[${Array.from({ length: count }, (_, i) => `("${i}",["out"])`).join(",")}]))`);
  const read = (text: string): Derivation => parseDerivation(utf8(text), "x");
  await expectLinear(80_000, (count) => read(withOutputs(count)));
  const text = withOutputs(300_000);
  const derivation = read(text);
  expect(derivation.dynamicInputs?.get(P)?.size).toBe(300_000);
  const again = await derivationFromJson(formatDerivationJson(derivation, { version: 4 }));
  expect(formatDerivation(again).length).toBe(text.length);
});

test.each([
  ["in the old form", plain(`("${P}",(["out"],[("out",["out"])]))`)],
  ["in a form of an unknown version", dynamic(`("${P}",["out"])`).replace("xp-dyn-drv", "xp-dyn-drv2")],
  ["that nobody needs", dynamic(`("${P}",([],[("out",[])]))`)],
  ["that nobody needs, deeper", dynamic(`("${P}",([],[("out",([],[("out",([],[]))]))]))`)],
  ["of an input of which nothing is needed", dynamic(`("${P}",([],[]))`)],
  ["twice", dynamic(`("${P}",([],[("out",["a"]),("out",["b"])]))`)],
  ["with an output twice", dynamic(`("${P}",([],[("out",["a","a"])]))`)],
  ["with a name that no output can have", dynamic(`("${P}",([],[("a b",["a"])]))`)],
  ["with a needed name that no output can have", dynamic(`("${P}",([],[("out",["a/b"])]))`)],
  ["with the name drv", dynamic(`("${P}",([],[("out",["drv"])]))`)],
  ["without a name", dynamic(`("${P}",([],[(["out"])]))`)],
  ["without an end", dynamic(`("${P}",([],[("out",["out"])`)],
  ["with a comma too many", dynamic(`("${P}",([],[("out",["out"]),]))`)],
  ["without a comma", dynamic(`("${P}",([],[("out",["out"])("a",["out"])]))`)],
  ["101 deep", dynamic(`("${P}",${needed(101)})`)],
  ["a million deep", dynamic(`("${P}",${needed(1_000_000)})`)],
  ["a million deep, without an end", `DrvWithVersion("xp-dyn-drv",[],[("${P}",${'([],[("a",'.repeat(1_000_000)}`],
])("refused: dynamic outputs %s", (_, text) => {
  expect(() => parseDerivation(utf8(text), "x")).toThrow(invalid);
});

const JSON_4 = { name: "x", outputs: { out: {} }, system: "s", builder: "b", args: [], env: {}, version: 4 };

test.each<[string, unknown]>([
  ["a list", []],
  ["null", null],
  ["a text", "out"],
  ["a list of names", { out: ["out"] }],
  ["without outputs", { out: { dynamicOutputs: {} } }],
  ["that nobody needs", { out: { outputs: [], dynamicOutputs: {} } }],
  ["with outputs that are no list", { out: { outputs: {}, dynamicOutputs: {} } }],
  ["with a name that no output can have", { "a b": { outputs: ["out"], dynamicOutputs: {} } }],
])("refused in JSON: dynamic outputs %s", async (_, dynamicOutputs) => {
  const json = { ...JSON_4, inputs: { srcs: [], drvs: { [P.slice(11)]: { outputs: ["out"], dynamicOutputs } } } };
  await expect(derivationFromJson(json)).rejects.toThrow(invalid);
});

test("refused in JSON: dynamic outputs a million deep", async () => {
  const depth = 1_000_000;
  const nested = `${'{"outputs":[],"dynamicOutputs":{"a":'.repeat(depth)}{"outputs":["out"]}${"}}".repeat(depth)}`;
  const json = `{"inputs":{"srcs":[],"drvs":{"${P.slice(11)}":${nested}}},${JSON.stringify(JSON_4).slice(1)}`;
  await expect(derivationFromJson(json)).rejects.toThrow(invalid);
});

test("refused: dynamic inputs that are no inputs, or have no dynamic outputs", () => {
  const derivation = named("dynamic");
  const outputs = new Map([["out", { outputs: new Set(["out"]), dynamicOutputs: new Map() }]]);
  expect(() => formatDerivation({ ...derivation, dynamicInputs: new Map([[P, outputs]]) })).toThrow(invalid);
  const [path = ""] = derivation.inputDerivations.keys();
  expect(() => formatDerivation({ ...derivation, dynamicInputs: new Map([[path, new Map()]]) })).toThrow(invalid);
});
