import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { CONTENT_ADDRESS_METHODS } from "./content-address.ts";
import { storePathFromContentAddress } from "./content-addressed-path.ts";
import { checkDerivation, type Derivation, type DerivationOutput, type OutputMethod } from "./derivation.ts";
import { DERIVATION_MAX_LENGTH, splitOutputHash } from "./derivation-file.ts";
import { STRUCTURED_ATTRS } from "./derivation-json.ts";
import { type DynamicOutputs, type NeededOutputs, parentsFirst } from "./dynamic-outputs.ts";
import { ExactNumber, formatExactJson, parseExactJson } from "./exact-json.ts";
import { decodeDigest, isHashAlgorithm, type NixHash, parseHash } from "./hash.ts";
import { formatStorePath, parseStorePath, STORE_DIR } from "./store-path.ts";

const DRV = ".drv";

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Reads a derivation from any version of Nix's JSON: that of Nix 2.8, and versions 1 to 4. Versions
 * 3 and 4 don't state the path of a fixed output, so it is calculated.
 *
 * @param json a text, or the value parsed from it. A text keeps all digits of numbers in structured
 *   attributes, and the derivation's store path depends on them. A parsed value has lost some.
 * @param options.name name of the derivation, without `.drv`; needed for the JSON of Nix 2.8, which
 *   lacks the name
 * @throws StoreError `invalid`
 */
export async function derivationFromJson(
  json: unknown,
  options: { readonly name?: string | undefined; readonly storeDir?: string | undefined } = {},
): Promise<Derivation> {
  return readDerivation(exactJson(json), options.name, options.storeDir ?? STORE_DIR);
}

/**
 * Reads the output of `nix derivation show`, or of `nix show-derivation` in Nix 2.8.
 *
 * @param json as in `derivationFromJson`
 * @returns the derivations by their absolute store paths, as the JSON states them. Compare with
 *   `derivationPath` to check the paths
 * @throws StoreError `invalid`
 */
export async function derivationsFromJson(
  json: unknown,
  options: { readonly storeDir?: string | undefined } = {},
): Promise<Map<string, Derivation>> {
  const storeDir = options.storeDir ?? STORE_DIR;
  const shown = readObject("the JSON", exactJson(json));
  const isFrame = shown.version instanceof ExactNumber && isObject(shown.derivations);
  const derivations = new Map<string, Derivation>();
  for (const [key, value] of Object.entries(isFrame ? readObject("derivations", shown.derivations) : shown)) {
    const path = parseStorePath(key, storeDir);
    if (!path.name.endsWith(DRV)) throw new StoreError("invalid", `${quote(key)} is not the path of a derivation`);
    const derivation = await readDerivation(value, path.name.slice(0, -DRV.length), storeDir);
    derivations.set(formatStorePath(path, storeDir), derivation);
  }
  return derivations;
}

function exactJson(json: unknown): unknown {
  const text = typeof json === "string" ? json : textOf(json);
  if (text.length > DERIVATION_MAX_LENGTH)
    throw new StoreError("invalid", `the JSON of a derivation is longer than ${DERIVATION_MAX_LENGTH} characters`);
  return parseExactJson(text);
}

function textOf(value: unknown): string {
  let text: string | undefined;
  try {
    text = JSON.stringify(value);
  } catch (cause) {
    throw new StoreError("invalid", "the derivation is not a JSON value", { cause });
  }
  if (text === undefined) throw new StoreError("invalid", "the derivation is not a JSON value");
  return text;
}

async function readDerivation(value: unknown, expectedName: string | undefined, storeDir: string): Promise<Derivation> {
  const json = readObject("the derivation", value);
  const name = json.name === undefined ? expectedName : readText("name", json.name);
  if (name === undefined) throw new StoreError("invalid", "the JSON of the derivation does not state its name");
  try {
    if (name !== (expectedName ?? name)) throw new StoreError("invalid", `its name should be ${quote(expectedName ?? name)}`);
    checkVersion(json.version);
    const absolute = (path: string) => formatStorePath(parseStorePath(path, storeDir), storeDir);
    const nested = json.inputs === undefined ? undefined : readObject("inputs", json.inputs);
    const derivation: Derivation = {
      name,
      outputs: await readOutputs(json.outputs, name, storeDir),
      ...readInputs(nested ? nested.drvs : json.inputDrvs, absolute),
      inputSources: new Set(readTexts("input sources", nested ? nested.srcs : json.inputSrcs).map(absolute)),
      system: readText("system", json.system),
      builder: readText("builder", json.builder),
      arguments: readTexts("args", json.args),
      environment: readEnvironment(json),
    };
    checkDerivation(derivation, storeDir);
    return derivation;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("invalid", `the JSON of derivation ${quote(name)}: ${reason}`, { cause });
  }
}

function checkVersion(version: unknown): void {
  if (version === undefined) return;
  if (!(version instanceof ExactNumber) || !["1", "2", "3", "4"].includes(version.text))
    throw new StoreError("invalid", "its version is not 1, 2, 3 or 4");
}

async function readOutputs(value: unknown, name: string, storeDir: string): Promise<Map<string, DerivationOutput>> {
  const outputs = new Map<string, DerivationOutput>();
  for (const [outputName, json] of Object.entries(readObject("outputs", value))) {
    const output = readOutput(readObject(`output ${quote(outputName)}`, json), storeDir);
    outputs.set(outputName, output.kind === "fixed" ? await withPath(output, name, storeDir) : output);
  }
  return outputs;
}

const OUTPUT_KEYS: readonly string[] = ["path", "method", "hashAlgo", "hash", "impure"];

function readOutput(json: JsonObject, storeDir: string): DerivationOutput {
  const unknown = Object.keys(json).find((key) => !OUTPUT_KEYS.includes(key));
  if (unknown !== undefined) throw new StoreError("invalid", `an output has the unknown field ${quote(unknown)}`);
  const path =
    json.path === undefined ? {} : { path: formatStorePath(parseStorePath(readText("path", json.path), storeDir), storeDir) };
  const how = json.hashAlgo === undefined ? undefined : readHow(json.method, readText("hashAlgo", json.hashAlgo));
  if (json.hash !== undefined) {
    const text = readText("hash", json.hash);
    const hash: NixHash = how ? { algorithm: how.algorithm, digest: decodeDigest(how.algorithm, text) } : parseHash(text);
    return { kind: "fixed", ...path, method: how?.method ?? readMethod(json.method), ...hash };
  }
  if (how) {
    if ("path" in path) throw new StoreError("invalid", "an output has a path, but its path depends on its content");
    if (json.impure !== undefined && json.impure !== true) throw new StoreError("invalid", "impure is not true");
    return { kind: json.impure ? "impure" : "floating", ...how };
  }
  if (json.method !== undefined || json.impure !== undefined) throw new StoreError("invalid", "an output has no hash algorithm");
  return { kind: "input-addressed", ...path };
}

/**
 * Reads method and algorithm. Up to version 1 the method is a prefix of the algorithm, as in a
 * `.drv` file.
 */
function readHow(method: unknown, hashAlgo: string): ReturnType<typeof splitOutputHash> {
  if (method === undefined) return splitOutputHash(hashAlgo);
  if (!isHashAlgorithm(hashAlgo)) throw new StoreError("invalid", `unknown hash algorithm: ${quote(hashAlgo)}`);
  return { method: readMethod(method), algorithm: hashAlgo };
}

function readMethod(value: unknown): OutputMethod {
  const method = CONTENT_ADDRESS_METHODS.find((method) => method === value);
  if (!method) throw new StoreError("invalid", "an output has an unknown method");
  return method;
}

async function withPath(
  output: Extract<DerivationOutput, { kind: "fixed" }>,
  name: string,
  storeDir: string,
): Promise<DerivationOutput> {
  const { method, algorithm, digest } = output;
  const path = formatStorePath(
    await storePathFromContentAddress(name, { method, hash: { algorithm, digest } }, { storeDir }),
    storeDir,
  );
  if (output.path !== undefined && output.path !== path)
    throw new StoreError("invalid", `its fixed output has the path ${output.path} instead of ${path}`);
  return { ...output, path };
}

/**
 * Reads the needed outputs of each input derivation, by its path. Since Nix 2.18 the names are
 * inside an object, beside dynamic outputs.
 */
function readInputs(value: unknown, absolute: (path: string) => string): Pick<Derivation, "inputDerivations" | "dynamicInputs"> {
  const inputDerivations = new Map<string, ReadonlySet<string>>();
  const dynamicInputs = new Map<string, DynamicOutputs>();
  for (const [key, needed] of Object.entries(readObject("input derivations", value))) {
    const path = absolute(key);
    const { outputs, dynamicOutputs } = readNeeded(isObject(needed) ? needed : { outputs: needed });
    inputDerivations.set(path, outputs);
    if (dynamicOutputs.size > 0) dynamicInputs.set(path, dynamicOutputs);
  }
  return { inputDerivations, ...(dynamicInputs.size > 0 && { dynamicInputs }) };
}

function readNeeded(root: JsonObject): NeededOutputs {
  const children = ({ dynamicOutputs = {} }: JsonObject): (readonly [string, JsonObject])[] =>
    Object.entries(readObject("dynamicOutputs", dynamicOutputs)).map(([name, needed]) => [
      name,
      readObject("a dynamic output", needed),
    ]);
  const made = new Map<JsonObject, NeededOutputs>();
  const read = (node: JsonObject): NeededOutputs => {
    const dynamicOutputs = new Map<string, NeededOutputs>();
    for (const [name, child] of children(node)) dynamicOutputs.set(name, made.get(child) ?? read(child));
    return { outputs: new Set(readTexts("outputs of an input", node.outputs)), dynamicOutputs };
  };
  // The deepest come first, so that `read` finds the children of each node in `made`.
  for (const node of parentsFirst(root, (node) => children(node).map(([, child]) => child)).reverse()) made.set(node, read(node));
  return made.get(root) ?? read(root);
}

function readEnvironment({ env, structuredAttrs }: JsonObject): Map<string, string> {
  const environment = new Map<string, string>();
  for (const [key, value] of Object.entries(readObject("env", env))) environment.set(key, readText("env", value));
  if (structuredAttrs === undefined) return environment;
  if (environment.has(STRUCTURED_ATTRS))
    throw new StoreError("invalid", `it has both structured attributes and ${STRUCTURED_ATTRS} in its environment`);
  return environment.set(STRUCTURED_ATTRS, formatExactJson(readObject("structuredAttrs", structuredAttrs)));
}

function readTexts(what: string, value: unknown): string[] {
  if (!Array.isArray(value)) throw new StoreError("invalid", `${what} is not a list`);
  return value.map((item: unknown) => readText(what, item));
}

function readText(what: string, value: unknown): string {
  if (typeof value !== "string") throw new StoreError("invalid", `${what} is not a string`);
  return value;
}

function readObject(what: string, value: unknown): JsonObject {
  if (!isObject(value)) throw new StoreError("invalid", `${what} is not an object`);
  return value;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof ExactNumber);
}
