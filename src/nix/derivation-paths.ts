import { toHex, utf8 } from "../bytes.ts";
import { makeStorePath, storePathFromContentAddress } from "./content-addressed-path.ts";
import { checkDerivation, type Derivation, type DerivationOutput, outputPathName } from "./derivation.ts";
import { formatDerivation, formatOutputHash, hasDynamicInputs, writeDerivation } from "./derivation-file.ts";
import { sha256 } from "./sha256.ts";
import { formatStorePath, parseStorePath, STORE_DIR, type StorePath } from "./store-path.ts";

/**
 * A hash that represents a derivation as an input of other derivations. Two derivations that build
 * the same fixed output in different ways have the same hash. Nix calls it "hash modulo".
 */
export interface DerivationHash {
  /**
   * Returns the hash (SHA-256) for an output. All outputs of a derivation have the same hash. For a
   * fixed output it follows from the content, else from the derivation.
   */
  of(outputName: string): Uint8Array;
  /**
   * Whether output paths that follow from this hash are unknown until something is built, because
   * the derivation or one of its dependencies has `floating` or `impure` outputs or dynamic inputs.
   */
  readonly isDeferred: boolean;
  /** `isDeferred` by the rule of Nix up to 2.34, which ignores dynamic inputs. */
  readonly isDeferredTo234: boolean;
}

/** Returns the `DerivationHash` of an input, by its absolute store path. */
export type InputHash = (path: string) => DerivationHash | Promise<DerivationHash>;

/**
 * Calculates the store path of the derivation itself, which is a text that refers to its inputs.
 *
 * @throws StoreError `invalid`
 */
export async function derivationPath(derivation: Derivation, storeDir: string = STORE_DIR): Promise<StorePath> {
  const digest = await sha256(formatDerivation(derivation, storeDir));
  const references = [...derivation.inputSources, ...derivation.inputDerivations.keys()];
  return storePathFromContentAddress(
    `${derivation.name}.drv`,
    { method: "text", hash: { algorithm: "sha256", digest } },
    { references: references.map((path) => parseStorePath(path, storeDir)), storeDir },
  );
}

/**
 * Calculates the derivation's own `DerivationHash`. Output paths that follow from the derivation
 * must be filled in.
 *
 * @param input returns the hash of each of `inputDerivations`
 * @throws StoreError `invalid`
 */
export async function hashDerivation(
  derivation: Derivation,
  input: InputHash,
  storeDir: string = STORE_DIR,
): Promise<DerivationHash> {
  checkDerivation(derivation, storeDir);
  const fixed = derivation.outputs.get("out");
  if (fixed?.kind === "fixed") {
    const path = formatStorePath(await fixedPath(derivation, fixed, storeDir), storeDir);
    const digest = await hashText(`fixed:out:${formatOutputHash(fixed)}:${toHex(fixed.digest)}:${path}`);
    return { of: () => digest, isDeferred: false, isDeferredTo234: false };
  }
  return hashWithInputs(derivation, input);
}

/**
 * Calculates the store paths of a derivation's outputs, by their names. A path is `undefined` if it
 * is unknown before the build. Ignores the output paths that `derivation` itself states, also in
 * its environment.
 *
 * @param input returns the hash of each of `inputDerivations`
 * @param options.rule the version of Nix whose rule for dynamic inputs to follow. Since Nix 2.35,
 *   output paths that depend on a dynamic input are unknown before the build. Earlier versions
 *   calculate these paths without the dynamic inputs, unless a `floating` or `impure` output makes
 *   them unknown.
 * @throws StoreError `invalid`
 */
export async function outputPaths(
  derivation: Derivation,
  input: InputHash,
  storeDir: string = STORE_DIR,
  { rule = "2.35" }: { readonly rule?: "2.34" | "2.35" | undefined } = {},
): Promise<Map<string, StorePath | undefined>> {
  checkDerivation(derivation, storeDir);
  const paths = new Map<string, StorePath | undefined>();
  let hash: DerivationHash | undefined;
  for (const [name, output] of derivation.outputs) {
    if (output.kind === "fixed") paths.set(name, await fixedPath(derivation, output, storeDir));
    else if (output.kind !== "input-addressed") paths.set(name, undefined);
    else {
      hash ??= await hashWithInputs(withoutPaths(derivation), input);
      const source = { algorithm: "sha256", digest: hash.of(name) } as const;
      const isUnknown = rule === "2.34" ? hash.isDeferredTo234 : hash.isDeferred;
      const path = isUnknown
        ? undefined
        : await makeStorePath(`output:${name}`, source, storeDir, outputPathName(derivation.name, name));
      paths.set(name, path);
    }
  }
  return paths;
}

/** Returns `derivation` with these output paths, also in the environment of its builder. */
export function withOutputPaths(
  derivation: Derivation,
  paths: ReadonlyMap<string, StorePath | undefined>,
  storeDir: string = STORE_DIR,
): Derivation {
  const outputs = new Map<string, DerivationOutput>();
  const environment = new Map(derivation.environment);
  for (const [name, output] of derivation.outputs) {
    const known = paths.get(name);
    const path = known && formatStorePath(known, storeDir);
    outputs.set(name, output.kind === "input-addressed" || output.kind === "fixed" ? { ...output, path } : output);
    if (environment.has(name) && path !== undefined) environment.set(name, path);
  }
  return { ...derivation, outputs, environment };
}

/**
 * Returns `derivation` with empty output paths, also in the environment. Nix calculates the paths
 * from this form.
 */
function withoutPaths(derivation: Derivation): Derivation {
  const outputs = new Map<string, DerivationOutput>();
  const environment = new Map(derivation.environment);
  for (const [name, output] of derivation.outputs) {
    outputs.set(name, output.kind === "input-addressed" ? { kind: "input-addressed" } : output);
    if (environment.has(name)) environment.set(name, "");
  }
  return { ...derivation, outputs, environment };
}

/** Hashes the derivation's text, with the hash of each input in place of its path. */
async function hashWithInputs(derivation: Derivation, input: InputHash): Promise<DerivationHash> {
  let isDeferredTo234 = [...derivation.outputs.values()].some(({ kind }) => kind === "floating" || kind === "impure");
  let isDeferred = isDeferredTo234 || hasDynamicInputs(derivation);
  const inputs = new Map<string, Set<string>>();
  for (const [path, names] of derivation.inputDerivations) {
    const hash = await input(path);
    isDeferred ||= hash.isDeferred;
    isDeferredTo234 ||= hash.isDeferredTo234;
    for (const name of names) {
      const key = toHex(hash.of(name));
      // Two input derivations with the same hash become one input.
      const merged = inputs.get(key) ?? new Set();
      inputs.set(key, merged.add(name));
    }
  }
  const digest = await sha256(writeDerivation(derivation, inputs));
  return { of: () => digest, isDeferred, isDeferredTo234 };
}

async function fixedPath(
  { name }: Derivation,
  { method, algorithm, digest }: Extract<DerivationOutput, { kind: "fixed" }>,
  storeDir: string,
): Promise<StorePath> {
  return storePathFromContentAddress(name, { method, hash: { algorithm, digest } }, { storeDir });
}

function hashText(text: string): Promise<Uint8Array> {
  return sha256(utf8(text));
}
