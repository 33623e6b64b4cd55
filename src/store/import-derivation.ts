import { equalBytes, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { formatDerivation, parseDerivation } from "../nix/derivation-file.ts";
import { derivationPath } from "../nix/derivation-paths.ts";
import { parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import { type ImportOptions, importFile } from "./import.ts";
import type { PathInfo } from "./path-info.ts";
import type { StoreServices } from "./services.ts";

const DRV = ".drv";

/**
 * Imports a derivation's own file under the derivation's store path, with its inputs, which must be in the store, as references.
 *
 * @param options.name of the store path, which ends in `.drv`; or the whole base name, which the store path must then have
 * @throws StoreError `invalid` for what is no derivation, or not written as Nix writes it: its store path would not be the one that it has for
 *   Nix; `corrupt` if it is the derivation of another base name; `not-found` for an input that is not in the store
 */
export async function importDerivation(
  store: StoreServices,
  engine: HashEngine,
  bytes: Uint8Array,
  options: ImportOptions & { readonly name: string },
): Promise<PathInfo> {
  const { name, isBaseName } = readName(options.name);
  if (!name.endsWith(DRV)) throw new StoreError("invalid", `not the name of a derivation: ${quote(name)}`);
  const derivation = parseDerivation(bytes, name.slice(0, -DRV.length));
  if (!equalBytes(formatDerivation(derivation), bytes))
    throw new StoreError("invalid", `derivation ${quote(name)} is not written as Nix writes it`);
  const baseName = storePathBaseName(await derivationPath(derivation));
  if (isBaseName && baseName !== options.name)
    throw new StoreError("corrupt", `${quote(options.name)} is not the derivation that it is named, but ${baseName}`);
  const references = [...derivation.inputSources, ...derivation.inputDerivations.keys()];
  const source = async function* (): AsyncGenerator<Uint8Array> {
    yield bytes;
  };
  return importFile(store, engine, source(), { ...options, name, method: "text", references });
}

function readName(text: string): { name: string; isBaseName: boolean } {
  try {
    return { name: parseStorePath(text).name, isBaseName: true };
  } catch {
    return { name: text, isBaseName: false };
  }
}
