import { toHex, utf8 } from "../bytes.ts";
import { makeStorePath, storePathFromContentAddress } from "./content-addressed-path.ts";
import { checkDerivation, type Derivation, type DerivationOutput, outputPathName } from "./derivation.ts";
import { formatDerivation, formatOutputHash, writeDerivation } from "./derivation-file.ts";
import { sha256 } from "./sha256.ts";
import { formatStorePath, parseStorePath, STORE_DIR, type StorePath } from "./store-path.ts";

/**
 * What stands for a derivation where others need it as an input: a hash that stays the same when it is built otherwise but makes the
 * same. Nix's "hash modulo".
 */
export interface DerivationHash {
  /** By the names of outputs: for a fixed output it follows from the content, else they are all the same. SHA-256. */
  of(outputName: string): Uint8Array;
  /** Whether a path that follows from it is not known before something was built: `floating` outputs are among what it needs. */
  readonly isDeferred: boolean;
}

/** Gives the `DerivationHash` of an input by its absolute store path. */
export type InputHash = (path: string) => DerivationHash | Promise<DerivationHash>;

/**
 * The store path of the derivation itself: it is a text that refers to its inputs.
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
 * Calculates the derivation's own `DerivationHash`. Paths of outputs that follow from the derivation must be there.
 *
 * @param input of each of `inputDerivations`
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
    return { of: () => digest, isDeferred: false };
  }
  return hashWithInputs(derivation, input);
}

/**
 * The store paths of a derivation's outputs, by their names; `undefined` for those that nobody can know before they are built. What
 * `derivation` itself says of its outputs' paths, there and in the environment, has no influence.
 *
 * @param input of each of `inputDerivations`
 * @throws StoreError `invalid`
 */
export async function outputPaths(
  derivation: Derivation,
  input: InputHash,
  storeDir: string = STORE_DIR,
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
      const path = hash.isDeferred
        ? undefined
        : await makeStorePath(`output:${name}`, source, storeDir, outputPathName(derivation.name, name));
      paths.set(name, path);
    }
  }
  return paths;
}

/** `derivation` with these paths, where its builder looks for them too. */
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

/** As its output paths are calculated from it: they are empty, in the environment too. */
function withoutPaths(derivation: Derivation): Derivation {
  const outputs = new Map<string, DerivationOutput>();
  const environment = new Map(derivation.environment);
  for (const [name, output] of derivation.outputs) {
    outputs.set(name, output.kind === "input-addressed" ? { kind: "input-addressed" } : output);
    if (environment.has(name)) environment.set(name, "");
  }
  return { ...derivation, outputs, environment };
}

/** The hash of the derivation's text, in which the hash of each input stands in the place of its path. */
async function hashWithInputs(derivation: Derivation, input: InputHash): Promise<DerivationHash> {
  let isDeferred = [...derivation.outputs.values()].some(({ kind }) => kind === "floating" || kind === "impure");
  const inputs = new Map<string, Set<string>>();
  for (const [path, names] of derivation.inputDerivations) {
    const hash = await input(path);
    isDeferred ||= hash.isDeferred;
    for (const name of names) {
      const key = toHex(hash.of(name));
      // Two derivations of the same hash become one input.
      const merged = inputs.get(key) ?? new Set();
      inputs.set(key, merged.add(name));
    }
  }
  const digest = await sha256(writeDerivation(derivation, inputs));
  return { of: () => digest, isDeferred };
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
