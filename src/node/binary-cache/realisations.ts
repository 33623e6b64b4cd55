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

/** The address of a realisation. */
export interface RealisationAddress {
  /** The path without the leading slash, under which the realisation is kept. */
  readonly name: string;
  /** @throws StoreError `invalid` if the path does not name an output of a derivation */
  key(): RealisationKey;
}

/** Reads `realisations/<id>.doi` and `build-trace-v2/<derivation>/<output>.doi`. */
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
 * Keeps a realisation byte for byte. If there is one of the same output and store path already, the
 * signatures of both are kept. A realisation with another store path replaces the earlier one, as in
 * Nix's own binary caches: a build that isn't reproducible has a new path each time, and `nix copy`
 * would fail for ever.
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
        `the realisation would have ${merged.signatures.length} signatures, more than there is room for`,
      );
    return mergedText;
  });
}
