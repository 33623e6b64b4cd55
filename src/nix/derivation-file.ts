import { compareBytes, fromHex, quote, toHex, utf8 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { ATermReader, ATermWriter } from "./aterm.ts";
import { checkDerivation, type Derivation, type DerivationOutput, type DerivationText, type OutputMethod } from "./derivation.ts";
import { type DynamicOutputs, formatNeededOutputs, readNeededOutputs } from "./dynamic-outputs.ts";
import { type HashAlgorithm, isHashAlgorithm } from "./hash.ts";
import { STORE_DIR } from "./store-path.ts";

/** Maximum size of a derivation, in bytes. */
export const DERIVATION_MAX_LENGTH: number = 64 * 1024 * 1024;

/** Start of a `.drv` file with dynamic outputs among its inputs. */
const WITH_DYNAMIC_OUTPUTS = 'DrvWithVersion("xp-dyn-drv",';

/**
 * Reads a `.drv` file. It is an ATerm: `Derive(outputs, input derivations, input sources, system,
 * builder, arguments, environment)`. Lists may be in any order, but without duplicates. A file with
 * dynamic outputs begins with `DrvWithVersion("xp-dyn-drv",` instead of `Derive(`.
 *
 * @param name name of the derivation, without `.drv`
 * @throws StoreError `invalid`
 */
export function parseDerivation(bytes: Uint8Array, name: string, storeDir: string = STORE_DIR): Derivation {
  if (bytes.length > DERIVATION_MAX_LENGTH)
    throw new StoreError("invalid", `derivation ${quote(name)} is longer than ${DERIVATION_MAX_LENGTH} bytes`);
  const reader = new ATermReader(bytes, name);
  const isDynamic = reader.skip(WITH_DYNAMIC_OUTPUTS);
  if (!isDynamic) reader.take("Derive(");
  const outputs = reader.map("output", () => readOutput(reader));
  reader.take(",");
  const dynamicInputs = new Map<string, DynamicOutputs>();
  const inputDerivations = reader.map("input derivation", () => {
    const path = reader.text();
    reader.take(",");
    if (!isDynamic) return [path, reader.set("output")];
    const { outputs, dynamicOutputs } = readNeededOutputs(reader);
    if (dynamicOutputs.size > 0) dynamicInputs.set(path, dynamicOutputs);
    return [path, outputs];
  });
  reader.take(",");
  const inputSources = reader.set("input source");
  reader.take(",");
  const system = reader.text();
  reader.take(",");
  const builder = reader.text();
  reader.take(",");
  const args: DerivationText[] = [];
  reader.list(() => {
    args.push(reader.string());
  });
  reader.take(",");
  const environment = reader.map("environment variable", () => {
    const key = reader.text();
    reader.take(",");
    return [key, reader.string()];
  });
  reader.take(")");
  reader.end();
  const derivation = {
    name,
    outputs,
    inputDerivations,
    ...(dynamicInputs.size > 0 && { dynamicInputs }),
    inputSources,
    system,
    builder,
    arguments: args,
    environment,
  };
  checkDerivation(derivation, storeDir);
  return derivation;
}

function readOutput(reader: ATermReader): [string, DerivationOutput] {
  const name = reader.text();
  reader.take(",");
  const path = reader.text();
  reader.take(",");
  const how = reader.text();
  reader.take(",");
  const hash = reader.text();
  return [name, output(name, path, how, hash)];
}

const METHODS: readonly (readonly [prefix: string, method: OutputMethod])[] = [
  ["r:", "nar"],
  ["text:", "text"],
  ["git:", "git"],
  ["", "flat"],
];

function output(name: string, path: string, how: string, hash: string): DerivationOutput {
  const known = path === "" ? {} : { path };
  if (how === "") {
    if (hash !== "") throw new StoreError("invalid", `output ${quote(name)} has a hash without an algorithm`);
    return { kind: "input-addressed", ...known };
  }
  const { method, algorithm } = splitOutputHash(how);
  if (hash !== "" && hash !== "impure") return { kind: "fixed", ...known, method, algorithm, digest: fromHex(hash) };
  if (path !== "") throw new StoreError("invalid", `output ${quote(name)} has a path, but its path depends on its content`);
  return { kind: hash === "" ? "floating" : "impure", method, algorithm };
}

/**
 * Reads the text that `formatOutputHash` writes.
 *
 * @throws StoreError `invalid`
 */
export function splitOutputHash(text: string): { readonly method: OutputMethod; readonly algorithm: HashAlgorithm } {
  const [prefix, method] = METHODS.find(([prefix]) => text.startsWith(prefix)) ?? ["", "flat"];
  const algorithm = text.slice(prefix.length);
  if (!isHashAlgorithm(algorithm)) throw new StoreError("invalid", `an output has an unknown hash algorithm: ${quote(text)}`);
  return { method, algorithm };
}

/**
 * Writes a `.drv` file as Nix does. Sorts everything except the arguments, bytewise.
 *
 * @throws StoreError `invalid` if `checkDerivation` refuses the derivation
 */
export function formatDerivation(derivation: Derivation, storeDir: string = STORE_DIR): Uint8Array {
  checkDerivation(derivation, storeDir);
  return writeDerivation(derivation, derivation.inputDerivations, derivation.dynamicInputs);
}

/**
 * Writes a derivation with other keys for its inputs. Nix hashes such a text for output paths. It
 * leaves dynamic outputs out of this text, but not the version at its beginning.
 */
export function writeDerivation(
  derivation: Derivation,
  inputs: ReadonlyMap<string, ReadonlySet<string>>,
  dynamicInputs?: ReadonlyMap<string, DynamicOutputs>,
): Uint8Array {
  const { outputs, inputSources, system, builder, environment } = derivation;
  const writer = new ATermWriter();
  writer.raw(hasDynamicInputs(derivation) ? WITH_DYNAMIC_OUTPUTS : "Derive(");
  writer.list(sorted(outputs), ([name, output]) => writer.tuple([name, ...outputFields(output)]));
  writer.raw(",");
  writer.list(sorted(inputs), ([path, names]) => {
    writer.raw("(");
    writer.string(path);
    writer.raw(",");
    const dynamicOutputs = dynamicInputs?.get(path);
    if (!dynamicOutputs) writer.list(sortedTexts(names), (name) => writer.string(name));
    else for (const part of formatNeededOutputs({ outputs: names, dynamicOutputs })) writer.raw(part);
    writer.raw(")");
  });
  writer.raw(",");
  writer.list(sortedTexts(inputSources), (path) => writer.string(path));
  writer.raw(",");
  writer.string(system);
  writer.raw(",");
  writer.string(builder);
  writer.raw(",");
  writer.list(derivation.arguments, (argument) => writer.string(argument));
  writer.raw(",");
  writer.list(sorted(environment), ([key, value]) => writer.tuple([key, value]));
  writer.raw(")");
  return writer.bytes();
}

/** Returns whether the derivation needs outputs of a derivation that another derivation builds. */
export function hasDynamicInputs({ dynamicInputs }: Derivation): boolean {
  return dynamicInputs !== undefined && dynamicInputs.size > 0;
}

function outputFields(output: DerivationOutput): [path: string, how: string, hash: string] {
  if (output.kind === "input-addressed") return [output.path ?? "", "", ""];
  const how = formatOutputHash(output);
  if (output.kind === "fixed") return [output.path ?? "", how, toHex(output.digest)];
  return ["", how, output.kind === "impure" ? "impure" : ""];
}

/**
 * Writes the algorithm, for example `sha256`. A method other than `flat` is a prefix: `r:` for a
 * NAR, `text:` or `git:`.
 */
export function formatOutputHash({ method, algorithm }: Exclude<DerivationOutput, { kind: "input-addressed" }>): string {
  return `${METHODS.find(([, known]) => known === method)?.[0]}${algorithm}`;
}

/**
 * Compares strings by their UTF-8 bytes, which is the order of code points. JavaScript's own order
 * differs above U+FFFF.
 */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0;
  // Nearly all strings are ASCII, which needs no encoding.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the range of ASCII
  if (/^[\x00-\x7f]*$/.test(a) && /^[\x00-\x7f]*$/.test(b)) return a < b ? -1 : 1;
  return compareBytes(utf8(a), utf8(b));
}

function sorted<V>(map: ReadonlyMap<string, V>): (readonly [string, V])[] {
  return [...map].sort(([a], [b]) => compareTexts(a, b));
}

function sortedTexts(texts: Iterable<string>): string[] {
  return [...texts].sort(compareTexts);
}
