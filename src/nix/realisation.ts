import { quote, toBase64 } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { formatSignature, parseSignature, type Signature } from "./signature.ts";
import { checkStorePath, checkStorePathName } from "./store-path.ts";

/**
 * The name of a realisation. A realisation states which store path an output of a content-addressed
 * derivation became. Nix (the feature `ca-derivations`) keeps it as JSON in a binary cache. Up to
 * 2.34 the file is `realisations/<id>.doi`, and the id contains the derivation's hash modulo. From
 * 2.35 it is `build-trace-v2/<derivation>/<output>.doi`.
 */
export type RealisationKey =
  | { readonly kind: "hash-modulo"; readonly id: string }
  | { readonly kind: "derivation"; readonly derivation: string; readonly output: string };

export interface Realisation {
  /** Base name of the store path. */
  readonly outPath: string;
  readonly signatures: readonly Signature[];
  /**
   * Realisations of the build's inputs: base names of store paths by id. Only Nix up to 2.33 writes
   * them.
   */
  readonly dependencies: ReadonlyMap<string, string>;
}

/** Maximum length of a realisation, in characters. */
export const REALISATION_MAX_LENGTH = 1024 * 1024;

const ID = /^sha256:[0-9a-f]{64}!(.+)$/;

/** @throws StoreError `invalid` if `id` is not `sha256:<64 hexadecimal digits>!<output>` */
export function hashModuloKey(id: string): RealisationKey {
  checkId(id);
  return { kind: "hash-modulo", id };
}

/**
 * @param derivation base name of the derivation's store path
 * @throws StoreError `invalid` if `derivation` is not a derivation, or if `output` can't be an
 *   output's name
 */
export function derivationKey(derivation: string, output: string): RealisationKey {
  checkBaseName(derivation);
  if (!derivation.endsWith(".drv")) throw new StoreError("invalid", `not a derivation: ${quote(derivation)}`);
  checkStorePathName(output);
  return { kind: "derivation", derivation, output };
}

/**
 * Reads the JSON of the realisation `key`. Ignores unknown fields, as Nix does.
 *
 * @throws StoreError `invalid` if the form is wrong, or if the id differs from the one in `key`
 */
export function parseRealisation(text: string, key: RealisationKey): Realisation {
  if (text.length > REALISATION_MAX_LENGTH)
    throw new StoreError("invalid", `the realisation is longer than ${REALISATION_MAX_LENGTH} characters`);
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new StoreError("invalid", "the realisation is not JSON", { cause });
  }
  if (!isRecord(json)) throw new StoreError("invalid", "the realisation is not a JSON object");
  const { id, outPath, signatures = [], dependentRealisations = {} } = json;
  if (key.kind === "hash-modulo" && id !== key.id)
    throw new StoreError("invalid", `the realisation of ${key.id} has the id ${quote(String(id))}`);
  if (typeof outPath !== "string") throw new StoreError("invalid", "the realisation has no outPath");
  if (!Array.isArray(signatures)) throw new StoreError("invalid", "the signatures of the realisation are not a list");
  if (!isRecord(dependentRealisations))
    throw new StoreError("invalid", "the dependentRealisations of the realisation are not an object");
  return {
    outPath: checkBaseName(outPath),
    signatures: signatures.map(readSignature),
    dependencies: new Map(Object.entries(dependentRealisations).map(readDependency)),
  };
}

/** Writes the JSON as Nix does: without blanks, keys sorted. */
export function formatRealisation({ outPath, signatures, dependencies }: Realisation, key: RealisationKey): string {
  const [...sorted] = signatures.map(formatSignature).sort();
  if (key.kind === "derivation") {
    const objects = sorted.map(parseSignature).map(({ name, data }) => ({ keyName: name, sig: toBase64(data) }));
    return JSON.stringify({ outPath, signatures: objects });
  }
  const dependentRealisations = Object.fromEntries([...dependencies].sort(([a], [b]) => (a < b ? -1 : 1)));
  return JSON.stringify({ dependentRealisations, id: key.id, outPath, signatures: sorted });
}

/**
 * Joins two realisations of the same output, with the signatures of both, as Nix's local store
 * does. One of them may name no dependencies: Nix from 2.34 writes none.
 *
 * @returns `undefined` if they name different store paths or different dependencies
 */
export function mergeRealisations(earlier: Realisation, later: Realisation): Realisation | undefined {
  if (earlier.outPath !== later.outPath) return undefined;
  const [a, b] = [earlier.dependencies, later.dependencies];
  if (a.size > 0 && b.size > 0 && !(a.size === b.size && [...a].every(([id, path]) => b.get(id) === path))) return undefined;
  const signatures = new Map(
    [...earlier.signatures, ...later.signatures].map((signature) => [formatSignature(signature), signature]),
  );
  return { outPath: earlier.outPath, signatures: [...signatures.values()], dependencies: a.size > 0 ? a : b };
}

/** Whether `a` has all signatures and dependencies of `b`, for the same output and path. */
export function coversRealisation(a: Realisation, b: Realisation): boolean {
  const known = new Set(a.signatures.map(formatSignature));
  return b.signatures.every((signature) => known.has(formatSignature(signature))) && a.dependencies.size >= b.dependencies.size;
}

function checkId(id: string): string {
  const [, output] = ID.exec(id) ?? [];
  if (output === undefined) throw new StoreError("invalid", `not the id of a derivation's output: ${quote(id)}`);
  checkStorePathName(output);
  return id;
}

function checkBaseName(text: string): string {
  checkStorePath(text);
  if (text.startsWith("/")) throw new StoreError("invalid", `not the base name of a store path: ${quote(text)}`);
  return text;
}

/**
 * Reads a signature. Nix up to 2.34 writes `name:base64`. Later versions write an object and read
 * both forms.
 */
function readSignature(signature: unknown): Signature {
  if (typeof signature === "string") return parseSignature(signature);
  if (isRecord(signature) && typeof signature.keyName === "string" && typeof signature.sig === "string")
    return parseSignature(`${signature.keyName}:${signature.sig}`);
  throw new StoreError("invalid", "a signature of the realisation is neither a string nor an object with keyName and sig");
}

function readDependency([id, path]: [string, unknown]): [string, string] {
  if (typeof path !== "string") throw new StoreError("invalid", `the dependent realisation ${quote(id)} has no path`);
  return [checkId(id), checkBaseName(path)];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
