import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type ContentAddressMethod, canHash } from "./content-address.ts";
import { checkDynamicOutputs, type DynamicOutputs } from "./dynamic-outputs.ts";
import { HASH_LENGTHS, type HashAlgorithm } from "./hash.ts";
import { checkStorePath, checkStorePathName, STORE_DIR } from "./store-path.ts";

/** A recipe for store paths, which Nix keeps in a file `<hash>-<name>.drv`. */
export interface Derivation {
  /**
   * Name of the derivation, without `.drv`. It is part of the store path of the `.drv` file, but
   * not of the file's content.
   */
  readonly name: string;
  /** Outputs by their names; usually only `out`. */
  readonly outputs: ReadonlyMap<string, DerivationOutput>;
  /** Names of the needed outputs of other derivations, by the derivations' absolute store paths. */
  readonly inputDerivations: ReadonlyMap<string, ReadonlySet<string>>;
  /**
   * Needed outputs of derivations that input derivations build, by the absolute store paths of the
   * input derivations. Each of these paths is in `inputDerivations` too, perhaps with an empty set.
   */
  readonly dynamicInputs?: ReadonlyMap<string, DynamicOutputs> | undefined;
  /** Absolute store paths that no derivation builds. */
  readonly inputSources: ReadonlySet<string>;
  /** Platform of the builder, for example `x86_64-linux`. */
  readonly system: string;
  readonly builder: string;
  readonly arguments: readonly DerivationText[];
  readonly environment: ReadonlyMap<string, DerivationText>;
}

/** A value for the builder: text, or bytes if they are not UTF-8. */
export type DerivationText = string | Uint8Array;

/**
 * How an output gets its store path:
 *
 * - `input-addressed`: from the derivation itself. `path` is missing while it is unknown: until it
 *   is calculated, or because an input is `floating` or dynamic.
 * - `fixed`: from the hash of the content, which is known before the build.
 * - `floating`: from the hash of the built content.
 * - `impure`: like `floating`, but each build may give another path.
 */
export type DerivationOutput =
  | { readonly kind: "input-addressed"; readonly path?: string | undefined }
  | {
      readonly kind: "fixed";
      readonly path?: string | undefined;
      readonly method: OutputMethod;
      readonly algorithm: HashAlgorithm;
      readonly digest: Uint8Array;
    }
  | { readonly kind: "floating" | "impure"; readonly method: OutputMethod; readonly algorithm: HashAlgorithm };

/** How the content of an output is hashed. */
export type OutputMethod = ContentAddressMethod;

/**
 * Checks the name of an output. It becomes part of store path names, and a key of `environment`.
 */
function checkOutputName(name: string): void {
  checkStorePathName(name);
  // As in Nix, whose attribute `drvPath` is the path of the derivation and not of an output.
  if (name === "drv") throw new StoreError("invalid", "an output can't be named drv");
}

/**
 * Checks a derivation on its own, against all rules that Nix follows when it writes one.
 *
 * @throws StoreError `invalid`
 */
export function checkDerivation(derivation: Derivation, storeDir: string = STORE_DIR): void {
  try {
    check(derivation, storeDir);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("invalid", `derivation ${quote(derivation.name)}: ${reason}`, { cause });
  }
}

function check(
  { name, outputs, inputDerivations, dynamicInputs, inputSources, system, builder, environment }: Derivation,
  storeDir: string,
): void {
  checkStorePathName(`${name}.drv`);
  if (outputs.size === 0) throw new StoreError("invalid", "it has no outputs");
  const kinds = new Set<string>();
  for (const [outputName, output] of outputs) {
    checkOutputName(outputName);
    checkStorePathName(outputPathName(name, outputName));
    checkOutput(outputName, output, storeDir);
    kinds.add(output.kind);
  }
  if (kinds.size > 1) throw new StoreError("invalid", `its outputs are of different kinds: ${[...kinds].join(", ")}`);
  if (kinds.has("fixed") && (outputs.size > 1 || !outputs.has("out")))
    throw new StoreError("invalid", "a derivation with a fixed output must have only that output, named out");
  for (const [path, names] of inputDerivations) {
    checkAbsolute(path, storeDir);
    if (!path.endsWith(".drv")) throw new StoreError("invalid", `input ${quote(path)} is not a derivation`);
    if (names.size === 0 && !dynamicInputs?.has(path))
      throw new StoreError("invalid", `it needs no output of its input ${quote(path)}`);
    for (const needed of names) checkOutputName(needed);
  }
  for (const [path, dynamicOutputs] of dynamicInputs ?? []) {
    if (!inputDerivations.has(path)) throw new StoreError("invalid", `${quote(path)} has dynamic outputs, but is not an input`);
    if (dynamicOutputs.size === 0) throw new StoreError("invalid", `it needs no dynamic output of its input ${quote(path)}`);
    checkDynamicOutputs(dynamicOutputs, checkOutputName);
  }
  for (const path of inputSources) checkAbsolute(path, storeDir);
  if (system === "") throw new StoreError("invalid", "its system is empty");
  if (builder === "") throw new StoreError("invalid", "its builder is empty");
  for (const key of environment.keys()) {
    if (key === "" || key.includes("=") || key.includes("\0"))
      throw new StoreError("invalid", `an environment variable can't be named ${quote(key)}`);
  }
}

function checkOutput(name: string, output: DerivationOutput, storeDir: string): void {
  if ("path" in output && output.path !== undefined) checkAbsolute(output.path, storeDir);
  if (output.kind === "input-addressed") return;
  if (!canHash(output.method, output.algorithm))
    throw new StoreError("invalid", `output ${name} has the method ${output.method}, which can't use a ${output.algorithm} hash`);
  if (output.kind === "fixed" && output.digest.length !== HASH_LENGTHS[output.algorithm])
    throw new StoreError("invalid", `output ${name} has a ${output.algorithm} digest of ${output.digest.length} bytes`);
}

function checkAbsolute(path: string, storeDir: string): void {
  checkStorePath(path, storeDir);
  if (!path.startsWith("/")) throw new StoreError("invalid", `not an absolute store path: ${quote(path)}`);
}

/**
 * Returns the name in an output's store path: the derivation's name, followed by the output's name
 * unless that is `out`.
 */
export function outputPathName(derivationName: string, outputName: string): string {
  return outputName === "out" ? derivationName : `${derivationName}-${outputName}`;
}
