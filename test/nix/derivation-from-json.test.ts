import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { DERIVATION_MAX_LENGTH, formatDerivation } from "../../src/nix/derivation-file.ts";
import { derivationFromJson, derivationsFromJson } from "../../src/nix/derivation-from-json.ts";
import { derivationToJson } from "../../src/nix/derivation-json.ts";
import { derivationPath } from "../../src/nix/derivation-paths.ts";
import { formatStorePath } from "../../src/nix/store-path.ts";
import { DERIVATIONS_2_8, DERIVATIONS_2_34 } from "./derivation-folder.ts";
import { nextFixtureText } from "./nix-2.34.ts";

/** The `.drv` files by their store paths. */
const FILES = new Map<string, Uint8Array>(
  [DERIVATIONS_2_8, DERIVATIONS_2_34].flatMap((folder) =>
    folder.files.map((file) => [`/nix/store/${file}`, folder.bytes(file)] as const),
  ),
);
const SHOWN_4 = nextFixtureText("derivations/derivation-show.json");
const SHOWN_1 = readFileSync(new URL("./derivations/show-derivation.json", import.meta.url), "utf8");
const CASE = readFileSync(new URL("../fixtures/nix-2.34/derivation-show.json", import.meta.url), "utf8");

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

test("the whole output of nix derivation show 2.34 is read, and gives the same files", async () => {
  const derivations = await derivationsFromJson(SHOWN_4);
  expect([...derivations.keys()].sort()).toEqual([...FILES.keys()].sort());
  for (const [path, derivation] of derivations)
    expect(text(formatDerivation(derivation))).toBe(text(FILES.get(path) as Uint8Array));
});

test("the whole output of nix show-derivation 2.8 is read, and gives the same files", async () => {
  const derivations = await derivationsFromJson(SHOWN_1);
  expect(derivations.size).toBeGreaterThan(10);
  for (const [path, derivation] of derivations)
    expect(text(formatDerivation(derivation))).toBe(text(FILES.get(path) as Uint8Array));
});

test("structured attributes from another machine give the store paths that they had there", async () => {
  const derivations = await derivationsFromJson(CASE);
  expect(derivations.size).toBe(2);
  for (const [path, derivation] of derivations) {
    expect(formatStorePath(await derivationPath(derivation))).toBe(path);
    const { derivations: shown } = JSON.parse(CASE) as { derivations: Record<string, unknown> };
    expect(derivationToJson(derivation, { version: 4 })).toEqual(shown[path.slice(11)]);
  }
});

const BASE = { name: "x", outputs: { out: {} }, system: "s", builder: "b", args: [], env: {} };
const INPUT = `${"0".repeat(32)}-i.drv`;
const SOURCE = `${"1".repeat(32)}-s`;
const V4 = { ...BASE, inputs: { srcs: [SOURCE], drvs: { [INPUT]: { outputs: ["out"], dynamicOutputs: {} } } }, version: 4 };
const HEX = "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99";
const SRI = "sha256-jkx8G5nb/VDnqVGF/q1e4USPqQSi/dd46vXy2/1impk=";

test("the versions in between are read too", async () => {
  const expected = await derivationFromJson({ ...V4, outputs: { out: { method: "nar", hash: SRI } } });
  const [output] = expected.outputs.values();
  const path = output && "path" in output ? (output.path ?? "") : "";
  expect(path).toMatch(/^\/nix\/store\/.{32}-x$/);
  const absolute = (name: string) => `/nix/store/${name}`;
  const nested = { outputs: ["out"], dynamicOutputs: {} };
  const fixed = { path, method: "nar", hashAlgo: "sha256", hash: HEX };
  for (const json of [
    // As Nix 2.8, 2.18, 2.20 to 2.31, and 2.32 write it, in this order.
    {
      ...BASE,
      outputs: { out: { path, hashAlgo: "r:sha256", hash: HEX } },
      inputSrcs: [absolute(SOURCE)],
      inputDrvs: { [absolute(INPUT)]: ["out"] },
    },
    {
      ...BASE,
      outputs: { out: { path, hashAlgo: "r:sha256", hash: HEX } },
      inputSrcs: [absolute(SOURCE)],
      inputDrvs: { [absolute(INPUT)]: nested },
    },
    { ...BASE, outputs: { out: fixed }, inputSrcs: [absolute(SOURCE)], inputDrvs: { [absolute(INPUT)]: nested } },
    { ...BASE, outputs: { out: { ...fixed, path: undefined } }, inputSrcs: [SOURCE], inputDrvs: { [INPUT]: nested }, version: 3 },
  ])
    expect(await derivationFromJson(json)).toEqual(expected);
});

test("one byte order mark is skipped, as nix derivation add does", async () => {
  const text = JSON.stringify(V4);
  expect(await derivationFromJson(`\ufeff${text}`)).toEqual(await derivationFromJson(text));
  for (const marked of [`\ufeff\ufeff${text}`, ` \ufeff${text}`]) await expect(derivationFromJson(marked)).rejects.toThrow(invalid);
});

test("structured attributes keep all digits from a text, and JavaScript's digits from a value", async () => {
  const attributes =
    '{"z": 3.0, "a": [9007199254740993, 1E2, -0, -0.50], "é": "\\u00e9\\u0000\\/", "\\u0000b": {}, "__proto__": 1}';
  const json = `{"structuredAttrs": ${attributes}, ${JSON.stringify(V4).slice(1)}`;
  const exact = await derivationFromJson(json);
  expect(exact.environment.get("__json")).toBe(
    '{"\\u0000b":{},"__proto__":1,"a":[9007199254740993,100.0,0,-0.5],"z":3.0,"é":"é\\u0000/"}',
  );
  const rounded = await derivationFromJson(JSON.parse(json));
  expect(rounded.environment.get("__json")).toBe(
    '{"\\u0000b":{},"__proto__":1,"a":[9007199254740992,100,0,-0.5],"z":3,"é":"é\\u0000/"}',
  );
});

test("deeply nested attributes are refused or read, without a deep call stack of ours", async () => {
  const nested = (depth: number) =>
    `{"structuredAttrs":{"a":${"[".repeat(depth)}${"]".repeat(depth)}},${JSON.stringify(V4).slice(1)}`;
  const derivation = await derivationFromJson(nested(1000));
  expect(derivation.environment.get("__json")).toBe(`{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`);
  await derivationFromJson(nested(1_000_000)).catch((error: unknown) => expect(error).toEqual(invalid));
});

test.each<[string, unknown]>([
  ["no JSON", "{"],
  ["a number", 1],
  ["nothing", undefined],
  ["a value that JSON can't say", { ...V4, env: { a: 1n } }],
  ["an array", []],
  ["a version of the future", { ...V4, version: 5 }],
  ["a version that is a text", { ...V4, version: "4" }],
  ["no name", { ...V4, name: undefined }],
  ["no system", { ...V4, system: undefined }],
  ["no outputs", { ...V4, outputs: {} }],
  ["no inputs", { ...V4, inputs: undefined }],
  ["no environment", { ...V4, env: undefined }],
  ["a variable that is a number", { ...V4, env: { a: 1 } }],
  ["arguments that are no list", { ...V4, args: "a" }],
  ["an output with an unknown field", { ...V4, outputs: { out: { colour: "blue" } } }],
  ["an output with a method alone", { ...V4, outputs: { out: { method: "nar" } } }],
  ["an output of an unknown method", { ...V4, outputs: { out: { method: "tar", hashAlgo: "sha256" } } }],
  ["an output with an unknown hash", { ...V4, outputs: { out: { method: "nar", hashAlgo: "sha3" } } }],
  ["a git output by another hash", { ...V4, outputs: { out: { method: "git", hashAlgo: "md5" } } }],
  ["a fixed output with a broken hash", { ...V4, outputs: { out: { method: "nar", hash: "sha256-AAAA" } } }],
  ["a fixed output with another path", { ...V4, outputs: { out: { method: "nar", hash: SRI, path: SOURCE } } }],
  ["a floating output with a path", { ...V4, outputs: { out: { method: "nar", hashAlgo: "sha256", path: SOURCE } } }],
  ["an impure output that is not", { ...V4, outputs: { out: { method: "nar", hashAlgo: "sha256", impure: false } } }],
  ["dynamic outputs", { ...V4, inputs: { srcs: [], drvs: { [INPUT]: { outputs: ["out"], dynamicOutputs: { out: V4 } } } } }],
  ["an input that is no derivation", { ...V4, inputs: { srcs: [], drvs: { [SOURCE]: ["out"] } } }],
  ["a source that is no store path", { ...V4, inputs: { srcs: ["a"], drvs: {} } }],
  ["structured attributes that are a list", { ...V4, structuredAttrs: [] }],
  ["structured attributes twice", { ...V4, structuredAttrs: {}, env: { __json: "{}" } }],
])("refused: %s", async (_, json) => {
  await expect(derivationFromJson(json)).rejects.toThrow(invalid);
});

test("a name is required, and must match the name given elsewhere", async () => {
  const { name: _, ...nameless } = V4;
  expect((await derivationFromJson(nameless, { name: "y" })).name).toBe("y");
  await expect(derivationFromJson(V4, { name: "y" })).rejects.toThrow(invalid);
  await expect(derivationsFromJson({ derivations: { [`${"2".repeat(32)}-y.drv`]: V4 }, version: 4 })).rejects.toThrow(invalid);
  await expect(derivationsFromJson({ derivations: { [SOURCE]: V4 }, version: 4 })).rejects.toThrow(invalid);
});

test("a text that is too long is refused before it is parsed", async () => {
  const json = JSON.stringify(V4);
  await expect(derivationFromJson(json + " ".repeat(DERIVATION_MAX_LENGTH + 1 - json.length))).rejects.toThrow(invalid);
});
