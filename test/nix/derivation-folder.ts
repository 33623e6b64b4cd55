import { readdirSync, readFileSync } from "node:fs";
import type { Derivation } from "../../src/nix/derivation.ts";
import { parseDerivation } from "../../src/nix/derivation-file.ts";
import { type DerivationHash, hashDerivation } from "../../src/nix/derivation-paths.ts";
import { parseStorePath, storePathBaseName } from "../../src/nix/store-path.ts";

/** A folder of `.drv` files that Nix wrote, with all their inputs. */
export class DerivationFolder {
  /** Base names of the store paths, sorted. */
  readonly files: readonly string[];
  readonly #folder: URL;
  readonly #hashes = new Map<string, Promise<DerivationHash>>();

  constructor(path: string) {
    this.#folder = new URL(path, import.meta.url);
    this.files = readdirSync(this.#folder)
      .filter((name) => name.endsWith(".drv"))
      .sort();
  }

  bytes(file: string): Uint8Array {
    return new Uint8Array(readFileSync(new URL(file, this.#folder)));
  }

  parsed(file: string): Derivation {
    return parseDerivation(this.bytes(file), derivationName(file));
  }

  /** Reads the derivation of this name. */
  named(name: string): Derivation {
    const file = this.files.find((file) => derivationName(file) === name);
    if (!file) throw new Error(`there is no fixture ${name}`);
    return this.parsed(file);
  }

  /** Hashes the derivation with this absolute store path. */
  inputHash = (path: string): Promise<DerivationHash> => {
    const known = this.#hashes.get(path) ?? hashDerivation(this.parsed(storePathBaseName(parseStorePath(path))), this.inputHash);
    this.#hashes.set(path, known);
    return known;
  };
}

/** The derivations of derivations.nix, which make-derivations.sh wrote with Nix 2.8. */
export const DERIVATIONS_2_8: DerivationFolder = new DerivationFolder("./derivations/");
/** The derivations that make-nix-2.34.sh wrote with Nix 2.34. They include those of Nix 2.8. */
export const DERIVATIONS_2_34: DerivationFolder = new DerivationFolder("./nix-2.34/derivations/");

export function derivationName(file: string): string {
  return parseStorePath(file).name.slice(0, -".drv".length);
}
