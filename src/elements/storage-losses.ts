import { html, nothing, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { plural } from "./size.ts";

export function hasLosses(store: Store | undefined): boolean {
  return store !== undefined && (store.losses.evicted || store.losses.missingPacks > 0);
}

/** What was lost, in words for a reader. @param repaired whether a check found nothing missing since */
export function lossWarnings(store: Store | undefined, repaired = false): TemplateResult | typeof nothing {
  if (!store) return nothing;
  const { evicted, missingPacks } = store.losses;
  return html`
    ${
      evicted
        ? html`<p class="notice failed" role="alert">
            The browser has deleted this store since it was last opened here: to make room, or because this site's data was cleared. What it held
            has to be imported or pulled again.
          </p>`
        : nothing
    }
    ${
      missingPacks > 0 && !repaired
        ? html`<p class="notice failed" role="alert">
            ${plural(missingPacks, "pack")} of this store ${missingPacks === 1 ? "is" : "are"} missing from the disk. “Check everything”
            tells which store paths that concerns.
          </p>`
        : nothing
    }
  `;
}
