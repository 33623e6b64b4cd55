import { concatBytes, equalBytes, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import type { Derivation } from "../nix/derivation.ts";
import { formatDerivation, parseDerivation } from "../nix/derivation-file.ts";
import { type DerivationHash, derivationPath, hashDerivation, outputPaths } from "../nix/derivation-paths.ts";
import { formatStorePath, parseStorePath, STORE_DIR, storePathBaseName } from "../nix/store-path.ts";
import { iterate } from "../stream.ts";
import { requirePathInfo } from "./closure.ts";
import { type ImportOptions, importFile } from "./import.ts";
import type { PathInfo } from "./path-info.ts";
import type { StoreServices } from "./services.ts";

const DRV = ".drv";
/** Bytes of the longest `.drv` file of an input that is read. */
const MAX_DERIVATION = 64 * 1024 * 1024;

/**
 * Imports a `.drv` file under the derivation's store path. Its inputs become the references, and
 * must be in the store.
 *
 * @param options.name name of the store path, which ends in `.drv`; or the whole base name, which
 *   the derivation's store path must then have
 * @throws StoreError `invalid` if `bytes` is not a derivation, if it differs from the form that Nix
 *   writes (Nix would give it another store path), or if the paths of its outputs don't follow from
 *   it; `corrupt` if it has another base name than the given one; `not-found` if an input is not in
 *   the store
 */
export async function importDerivation(
  store: StoreServices,
  engine: HashEngine,
  bytes: Uint8Array,
  options: ImportOptions & { readonly name: string },
): Promise<PathInfo> {
  const { name, isBaseName } = readName(options.name);
  if (!name.endsWith(DRV)) throw new StoreError("invalid", `not the name of a derivation: ${quote(name)}; it must end in .drv`);
  const derivation = parseDerivation(bytes, name.slice(0, -DRV.length));
  if (!equalBytes(formatDerivation(derivation), bytes))
    throw new StoreError("invalid", `derivation ${quote(name)} is not in the form that Nix writes`);
  const baseName = storePathBaseName(await derivationPath(derivation));
  if (isBaseName && baseName !== options.name)
    throw new StoreError("corrupt", `${quote(options.name)} is not the name of this derivation: its base name is ${baseName}`);
  const references = [...derivation.inputSources, ...derivation.inputDerivations.keys()];
  await checkOutputs(derivation, new InputHashes(store, options.signal));
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return importFile(store, engine, source(), { ...options, name, method: "text", references });
}

/**
 * Checks the paths of the outputs. A user who trusts a derivation also trusts that its builds
 * belong to these paths.
 */
async function checkOutputs(derivation: Derivation, inputs: InputHashes): Promise<void> {
  const input = (path: string) => inputs.hash(path);
  const paths = await outputPaths(derivation, input);
  let older: typeof paths | undefined;
  for (const [name, output] of derivation.outputs) {
    if (output.kind !== "input-addressed" && output.kind !== "fixed") continue;
    const expected = paths.get(name);
    const path = expected && formatStorePath(expected);
    if (output.path === path) continue;
    // Below dynamic inputs, Nix up to 2.34 may state a path that is unknown to later versions.
    if (path === undefined) older ??= await outputPaths(derivation, input, STORE_DIR, { rule: "2.34" });
    const olderPath = older?.get(name);
    if (!olderPath || formatStorePath(olderPath) !== output.path)
      throw new StoreError(
        "invalid",
        `output ${quote(name)} of ${quote(derivation.name)} has the path ${output.path}, not ${path}`,
      );
  }
}

/** Calculates the hashes of derivations in the store, each once. */
class InputHashes {
  readonly #store: StoreServices;
  readonly #signal: AbortSignal | undefined;
  readonly #known = new Map<string, Promise<DerivationHash>>();

  constructor(store: StoreServices, signal: AbortSignal | undefined) {
    this.#store = store;
    this.#signal = signal;
  }

  hash(path: string): Promise<DerivationHash> {
    const known = this.#known.get(path) ?? this.#calculate(path);
    this.#known.set(path, known);
    return known;
  }

  async #calculate(path: string): Promise<DerivationHash> {
    this.#signal?.throwIfAborted();
    return hashDerivation(await this.#read(path), (input) => this.hash(input));
  }

  /**
   * @throws StoreError `not-found` if the path or its content is missing; `invalid` if it is not a
   *   derivation
   */
  async #read(path: string): Promise<Derivation> {
    const options = { signal: this.#signal };
    const { node } = await requirePathInfo(this.#store.pathInfos, path, options);
    if (node.kind !== "file" || node.size > MAX_DERIVATION) throw new StoreError("invalid", `${path} is not a derivation`);
    const content = await this.#store.blobs.open(node.digest, options);
    if (!content) throw new StoreError("not-found", `the content of ${path} is missing from the store`);
    const parts: Uint8Array[] = [];
    for await (const part of iterate(content, this.#signal)) parts.push(part);
    return parseDerivation(concatBytes(parts), parseStorePath(path).name.slice(0, -DRV.length));
  }
}

function readName(text: string): { name: string; isBaseName: boolean } {
  try {
    return { name: parseStorePath(text).name, isBaseName: true };
  } catch {
    return { name: text, isBaseName: false };
  }
}
