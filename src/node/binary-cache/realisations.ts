import { StoreError } from "../../error.ts";
import {
  coversRealisation,
  derivationKey,
  formatRealisation,
  hashModuloKey,
  mergeRealisations,
  parseRealisation,
  REALISATION_MAX_LENGTH,
  type RealisationKey,
} from "../../nix/realisation.ts";
import type { CacheUploads } from "./uploads.ts";

const SUFFIX = ".doi";

/** Address of a realisation. */
export interface RealisationAddress {
  /** Path without the leading slash. The realisation is stored under it. */
  readonly name: string;
  /**
   * @throws StoreError `invalid` if the path doesn't name an output of a derivation
   */
  key(): RealisationKey;
}

/** Parses `realisations/<id>.doi` and `build-trace-v2/<derivation>/<output>.doi`. */
export function realisationAddress(segments: readonly string[]): RealisationAddress | undefined {
  const [kind, ...rest] = segments;
  const last = rest.at(-1);
  if (!last?.endsWith(SUFFIX)) return undefined;
  const stem = last.slice(0, -SUFFIX.length);
  const name = segments.join("/");
  const [derivation, second] = rest;
  if (kind === "realisations" && second === undefined) return { name, key: () => hashModuloKey(stem) };
  if (kind === "build-trace-v2" && derivation !== undefined && rest.length === 2)
    return { name, key: () => derivationKey(derivation, stem) };
  return undefined;
}

/**
 * Stores a realisation byte for byte. If the cache has a realisation of the same output with the
 * same store path, the signatures are merged. A realisation with another store path replaces the
 * earlier one, as in Nix's own binary caches. A build that isn't reproducible has a new path each
 * time, and `nix copy` would otherwise fail forever.
 *
 * @throws StoreError `invalid` if the form is wrong
 */
export async function receiveRealisation(uploads: CacheUploads, address: RealisationAddress, text: string): Promise<void> {
  const key = address.key();
  const later = parseRealisation(text, key);
  await uploads.updateText(address.name, (earlierText) => {
    if (earlierText === undefined) return text;
    const earlier = parseRealisation(earlierText, key);
    const merged = mergeRealisations(earlier, later);
    if (!merged) return text;
    if (coversRealisation(earlier, merged)) return earlierText;
    if (coversRealisation(later, merged)) return text;
    const mergedText = formatRealisation(merged, key);
    if (mergedText.length > REALISATION_MAX_LENGTH)
      throw new StoreError(
        "invalid",
        `the realisation would have ${merged.signatures.length} signatures, too many for the size limit of a realisation`,
      );
    return mergedText;
  });
}
