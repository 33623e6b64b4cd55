import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type ContentAddressMethod, canHash } from "./content-address.ts";
import { HASH_LENGTHS, type HashAlgorithm } from "./hash.ts";
import { checkStorePath, checkStorePathName, STORE_DIR } from "./store-path.ts";

/** A recipe for store paths, as Nix keeps it in a file `<hash>-<name>.drv`. */
export interface Derivation {
  /** Of the derivation, without `.drv`. The file doesn't hold it: its store path does. */
  readonly name: string;
  /** By their names; `out` as a rule. */
  readonly outputs: ReadonlyMap<string, DerivationOutput>;
  /** The outputs that are needed of other derivations, by the absolute paths of these. */
  readonly inputDerivations: ReadonlyMap<string, ReadonlySet<string>>;
  /** Absolute store paths that no derivation makes. */
  readonly inputSources: ReadonlySet<string>;
  /** For example `x86_64-linux`. */
  readonly system: string;
  readonly builder: string;
  readonly arguments: readonly DerivationText[];
  readonly environment: ReadonlyMap<string, DerivationText>;
}

/** What a derivation hands to its builder: text, or bytes that are no UTF-8. */
export type DerivationText = string | Uint8Array;

/**
 * How an output gets its store path:
 *
 * - `input-addressed`: from the derivation itself. `path` is missing while it is not known: until it is calculated, or because an input is
 *   `floating`.
 * - `fixed`: from the hash of the content, which is known before.
 * - `floating`: from the hash of the content that is built.
 * - `impure`: likewise, and each time anew.
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

/** What is hashed of the output. */
export type OutputMethod = ContentAddressMethod;

/** Names of outputs become parts of store paths' names, and of `environment`'s keys. */
function checkOutputName(name: string): void {
  checkStorePathName(name);
  // `drvPath` would be an output of the derivation's own path to those who ask for it by name.
  if (name === "drv") throw new StoreError("invalid", "an output can't be named drv");
}

/**
 * Checks what can be said of a derivation by itself: all that makes it one that Nix could have written.
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
  { name, outputs, inputDerivations, inputSources, system, builder, environment }: Derivation,
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
    throw new StoreError("invalid", "with a fixed output it has no other one, and that is out");
  for (const [path, names] of inputDerivations) {
    checkAbsolute(path, storeDir);
    if (!path.endsWith(".drv")) throw new StoreError("invalid", `input ${quote(path)} is no derivation`);
    if (names.size === 0) throw new StoreError("invalid", `no output is needed of input ${quote(path)}`);
    for (const needed of names) checkOutputName(needed);
  }
  for (const path of inputSources) checkAbsolute(path, storeDir);
  if (system === "") throw new StoreError("invalid", "its system is empty");
  if (builder === "") throw new StoreError("invalid", "its builder is empty");
  for (const key of environment.keys()) {
    if (key === "" || key.includes("=") || key.includes("\0"))
      throw new StoreError("invalid", `environment variables can't be named ${quote(key)}`);
  }
}

function checkOutput(name: string, output: DerivationOutput, storeDir: string): void {
  if ("path" in output && output.path !== undefined) checkAbsolute(output.path, storeDir);
  if (output.kind === "input-addressed") return;
  if (!canHash(output.method, output.algorithm))
    throw new StoreError("invalid", `output ${name} is a ${output.method}, which has no ${output.algorithm} hash`);
  if (output.kind === "fixed" && output.digest.length !== HASH_LENGTHS[output.algorithm])
    throw new StoreError("invalid", `output ${name} has a ${output.algorithm} of ${output.digest.length} bytes`);
}

function checkAbsolute(path: string, storeDir: string): void {
  checkStorePath(path, storeDir);
  if (!path.startsWith("/")) throw new StoreError("invalid", `not an absolute store path: ${quote(path)}`);
}

/** The name in the store path of an output: that of the derivation, with the output's unless that is `out`. */
export function outputPathName(derivationName: string, outputName: string): string {
  return outputName === "out" ? derivationName : `${derivationName}-${outputName}`;
}
