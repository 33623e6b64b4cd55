import { decodeUtf8, toHex } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { Derivation, DerivationOutput, DerivationText, OutputMethod } from "./derivation.ts";
import { compareTexts, formatOutputHash } from "./derivation-file.ts";
import { type NeededOutputs, parentsFirst } from "./dynamic-outputs.ts";
import { ExactNumber, formatExactJson, parseExactJson } from "./exact-json.ts";
import { formatSri, type HashAlgorithm } from "./hash.ts";
import { parseStorePath, storePathBaseName } from "./store-path.ts";

/** The needed outputs of an input derivation, as Nix writes them since 2.18. */
export interface DerivationInputJson {
  /**
   * The needed outputs of each derivation that the input builds, by the name of the output that
   * holds its `.drv` file.
   */
  readonly dynamicOutputs: Readonly<Record<string, DerivationInputJson>>;
  readonly outputs: readonly string[];
}

/**
 * A derivation as `nix show-derivation` of Nix 2.8 prints it under its store path. Nix 2.8 has no
 * dynamic outputs, so an input with some is an object, as in Nix 2.18.
 */
export interface DerivationJson {
  readonly outputs: Readonly<
    Record<string, { readonly path?: string; readonly hashAlgo?: string; readonly hash?: string; readonly impure?: true }>
  >;
  readonly inputSrcs: readonly string[];
  readonly inputDrvs: Readonly<Record<string, readonly string[] | DerivationInputJson>>;
  readonly system: string;
  readonly builder: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/**
 * An output in version 4 of the JSON. An input-addressed output has its path, or no field if the
 * path is unknown until an input is built. A fixed output has its hash (SRI). Other outputs have
 * the method and algorithm with which the built content will be hashed.
 */
export type DerivationOutputJson4 =
  | { readonly path: string }
  | Readonly<Record<string, never>>
  | { readonly method: OutputMethod; readonly hash: string }
  | { readonly method: OutputMethod; readonly hashAlgo: HashAlgorithm; readonly impure?: true };

/**
 * A derivation in version 4 of Nix's JSON, as `nix derivation show` prints it since Nix 2.33. Paths
 * are base names.
 */
export interface DerivationJson4 {
  readonly args: readonly string[];
  readonly builder: string;
  /** The environment without `__json`, which is in `structuredAttrs`. */
  readonly env: Readonly<Record<string, string>>;
  readonly inputs: {
    readonly drvs: Readonly<Record<string, DerivationInputJson>>;
    readonly srcs: readonly string[];
  };
  readonly name: string;
  readonly outputs: Readonly<Record<string, DerivationOutputJson4>>;
  readonly structuredAttrs?: Readonly<Record<string, unknown>>;
  readonly system: string;
  readonly version: 4;
}

/** The environment variable that holds structured attributes, as JSON, in a `.drv` file. */
export const STRUCTURED_ATTRS = "__json";

/**
 * Converts a derivation to JSON: to the form of Nix 2.8, which is version 1, or to version 4.
 *
 * Bytes that are not UTF-8 become U+FFFD. JSON can't express them, and Nix prints no JSON for them
 * at all. Numbers in structured attributes become JavaScript numbers; `formatDerivationJson` keeps
 * each digit.
 *
 * @throws StoreError `invalid` in version 4 if the structured attributes are not a JSON object
 */
export function derivationToJson(derivation: Derivation, options?: { readonly version?: 1 }): DerivationJson;
export function derivationToJson(derivation: Derivation, options: { readonly version: 4 }): DerivationJson4;
export function derivationToJson(
  derivation: Derivation,
  { version = 1 }: { readonly version?: 1 | 4 } = {},
): DerivationJson | DerivationJson4 {
  return version === 4 ? toJson4(derivation) : toJson1(derivation);
}

/**
 * Converts a derivation to JSON text, in which numbers in structured attributes keep all their
 * digits. A reader of this text gets the same derivation, with the same store path.
 *
 * @throws StoreError `invalid` as `derivationToJson`
 */
export function formatDerivationJson(derivation: Derivation, { version }: { readonly version: 1 | 4 }): string {
  if (version === 1) return JSON.stringify(toJson1(derivation));
  const json = toJson4(derivation);
  const members = Object.entries(json).map(([key, value]: [string, unknown]) => {
    // `formatExactJson` sorts all keys bytewise. `JSON.stringify` puts numeric keys first.
    return `${JSON.stringify(key)}:${formatExactJson(key === "structuredAttrs" ? structuredAttrs(derivation) : value)}`;
  });
  return `{${members.join(",")}}`;
}

function toJson1(derivation: Derivation): DerivationJson {
  const { outputs, inputDerivations, inputSources, system, builder, environment } = derivation;
  return {
    outputs: record(outputs, outputToJson1),
    inputSrcs: [...inputSources].sort(compareTexts),
    inputDrvs: record(inputDerivations, (names, path) => {
      const dynamicOutputs = derivation.dynamicInputs?.get(path);
      return dynamicOutputs ? inputToJson({ outputs: names, dynamicOutputs }) : [...names].sort(compareTexts);
    }),
    system,
    builder,
    args: derivation.arguments.map(shown),
    env: record(environment, shown),
  };
}

function outputToJson1(output: DerivationOutput): DerivationJson["outputs"][string] {
  const path = "path" in output && output.path !== undefined ? { path: output.path } : {};
  if (output.kind === "input-addressed") return path;
  const hashAlgo = formatOutputHash(output);
  if (output.kind === "fixed") return { ...path, hashAlgo, hash: toHex(output.digest) };
  return output.kind === "impure" ? { hashAlgo, impure: true } : { hashAlgo };
}

/** Keys are sorted, as in Nix's output. */
function toJson4(derivation: Derivation): DerivationJson4 {
  const { name, outputs, inputDerivations, inputSources, system, builder, environment } = derivation;
  const attributes = structuredAttrs(derivation);
  const plain = new Map(environment);
  plain.delete(STRUCTURED_ATTRS);
  const drvs = new Map(
    [...inputDerivations].map(([path, outputs]) => {
      const dynamicOutputs = derivation.dynamicInputs?.get(path) ?? new Map();
      return [baseName(path), { outputs, dynamicOutputs }];
    }),
  );
  return {
    args: derivation.arguments.map(shown),
    builder,
    env: record(plain, shown),
    inputs: {
      drvs: record(drvs, inputToJson),
      srcs: [...inputSources].map(baseName).sort(compareTexts),
    },
    name,
    outputs: record(outputs, outputToJson4),
    ...(attributes !== undefined && { structuredAttrs: JSON.parse(formatExactJson(attributes)) as Record<string, unknown> }),
    system,
    version: 4,
  };
}

function inputToJson(needed: NeededOutputs): DerivationInputJson {
  const made = new Map<NeededOutputs, DerivationInputJson>();
  const json = (node: NeededOutputs): DerivationInputJson =>
    made.get(node) ?? { dynamicOutputs: record(node.dynamicOutputs, json), outputs: [...node.outputs].sort(compareTexts) };
  // The deepest come first, so that `json` finds the children of each node in `made`.
  for (const node of parentsFirst(needed, ({ dynamicOutputs }) => dynamicOutputs.values()).reverse()) made.set(node, json(node));
  return json(needed);
}

function outputToJson4(output: DerivationOutput): DerivationOutputJson4 {
  if (output.kind === "input-addressed") return output.path === undefined ? {} : { path: baseName(output.path) };
  const { method, algorithm } = output;
  if (output.kind === "fixed") return { hash: formatSri({ algorithm, digest: output.digest }), method };
  return output.kind === "impure" ? { hashAlgo: algorithm, impure: true, method } : { hashAlgo: algorithm, method };
}

/** Parses the object in `__json`, with exact numbers. */
function structuredAttrs({ name, environment }: Derivation): object | undefined {
  const text = environment.get(STRUCTURED_ATTRS);
  if (text === undefined) return undefined;
  const json = typeof text === "string" ? parseExactJson(text) : undefined;
  if (typeof json !== "object" || json === null || Array.isArray(json) || json instanceof ExactNumber)
    throw new StoreError("invalid", `the structured attributes of derivation ${name} are not a JSON object`);
  return json;
}

function baseName(path: string): string {
  return storePathBaseName(parseStorePath(path));
}

function shown(text: DerivationText): string {
  return typeof text === "string" ? text : decodeUtf8(text);
}

function record<V, T>(map: ReadonlyMap<string, V>, value: (found: V, key: string) => T): Record<string, T> {
  const entries = [...map].sort(([a], [b]) => compareTexts(a, b)).map(([key, found]) => [key, value(found, key)] as const);
  // Unlike an assignment, `fromEntries` treats `__proto__` like any other name.
  return Object.fromEntries(entries);
}
