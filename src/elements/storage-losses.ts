import { html, nothing, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import { plural } from "./size.ts";

export function hasLosses(store: Store | undefined): boolean {
  return store !== undefined && (store.losses.evicted || store.losses.missingPacks > 0 || store.losses.unindexedPacks > 0);
}

export interface LossOptions {
  /** Whether a later check found nothing missing. */
  whole?: boolean;
  /** Whether `repair` has brought the lost packs back. */
  restored?: boolean;
  /** The button that calls `repair`. */
  restore?: TemplateResult | typeof nothing;
}

/** Warns the reader of lost data. */
export function lossWarnings(
  store: Store | undefined,
  { whole = false, restored = false, restore = nothing }: LossOptions = {},
): TemplateResult | typeof nothing {
  if (!store) return nothing;
  const { evicted, missingPacks, unindexedPacks } = store.losses;
  return html`
    ${
      evicted && !restored
        ? html`<p class="notice failed" role="alert">
            The browser has deleted this store since you last opened it here: to free space, or because this site's data was cleared.
            ${unindexedPacks > 0 ? nothing : "Import or pull its store paths again."}
          </p>`
        : nothing
    }
    ${
      unindexedPacks > 0 && !restored
        ? html`<div class="notice failed stack" role="alert">
            <p>
              The database of this store lacks ${plural(unindexedPacks, "pack")} whose ${unindexedPacks === 1 ? "file is" : "files are"} still
              on the disk. ${restore === nothing ? "“Restore” in Storage" : "Restoring"} brings everything back that is undamaged.
            </p>
            ${restore}
          </div>`
        : nothing
    }
    ${
      missingPacks > 0 && !whole
        ? html`<p class="notice failed" role="alert">
            ${plural(missingPacks, "pack")} of this store ${missingPacks === 1 ? "is" : "are"} missing from the disk. “Check everything”
            finds the affected store paths.
          </p>`
        : nothing
    }
  `;
}
