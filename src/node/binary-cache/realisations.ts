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

/** The name under which a realisation is kept, and what it has to be of. */
export interface RealisationAddress {
  readonly name: string;
  /** @throws StoreError `invalid` for a name that can't be that of a realisation */
  key(): RealisationKey;
}

/** The realisation at `realisations/<id>.doi` or `build-trace-v2/<derivation>/<output>.doi`. */
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
 * Keeps a realisation, byte for byte as it came. If there is one for the same output already, it has to be of the same store path, and
 * then both sets of signatures are kept.
 *
 * @throws StoreError `invalid` if its form is wrong, `conflict` if there is another one
 */
export async function receiveRealisation(uploads: CacheUploads, address: RealisationAddress, text: string): Promise<void> {
  const key = address.key();
  const later = parseRealisation(text, key);
  await uploads.updateText(address.name, (earlierText) => {
    if (earlierText === undefined) return text;
    const earlier = parseRealisation(earlierText, key);
    const merged = mergeRealisations(earlier, later);
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
