import { html, nothing, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { plural } from "./size.ts";

export function hasLosses(store: Store | undefined): boolean {
  return store !== undefined && (store.losses.evicted || store.losses.missingPacks > 0);
}

/** Warns the reader of lost data. @param repaired whether a later check found nothing missing */
export function lossWarnings(store: Store | undefined, repaired = false): TemplateResult | typeof nothing {
  if (!store) return nothing;
  const { evicted, missingPacks } = store.losses;
  return html`
    ${
      evicted
        ? html`<p class="notice failed" role="alert">
            The browser has deleted this store since you last opened it here: to free space, or because this site's data was cleared. Import or
            pull its store paths again.
          </p>`
        : nothing
    }
    ${
      missingPacks > 0 && !repaired
        ? html`<p class="notice failed" role="alert">
            ${plural(missingPacks, "pack")} of this store ${missingPacks === 1 ? "is" : "are"} missing from the disk. “Check everything”
            finds the affected store paths.
          </p>`
        : nothing
    }
  `;
}
