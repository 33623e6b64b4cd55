import { css, html, nothing, type TemplateResult } from "lit";
import type { StorageUsage } from "../thread/maintenance-api.ts";
import { plural, showCount, showSize } from "./size.ts";

const PLACES: Record<StorageUsage["storage"], string> = {
  opfs: "files of this site (OPFS)",
  indexeddb: "this site's database (IndexedDB)",
};

const KINDS = [
  ["chunks", "chunks"],
  ["directories", "directories"],
  ["blobs", "chunk lists"],
] as const;

const UNKNOWN = "…";

/**
 * Shows the storage that a store uses.
 *
 * @param usage undefined while it is being counted; the rows are shown already, so that nothing
 *   moves later
 */
export function storageFigures(storage: StorageUsage["storage"] | undefined, usage: StorageUsage | undefined): TemplateResult {
  return html`
    <dl aria-busy=${usage ? "false" : "true"}>
      <dt>Kept in</dt>
      <dd>${storage ? PLACES[storage] : UNKNOWN}</dd>
      <dt>Store paths</dt>
      <dd>${usage ? showCount(usage.storePaths) : UNKNOWN}</dd>
      <dt>Their size</dt>
      <dd>${usage ? showSize(usage.logical) : UNKNOWN} <span class="dim">as NARs</span></dd>
      <dt>Stored</dt>
      <dd>
        <span class="figure">${usage ? showSize(usage.stored) : UNKNOWN}</span> ${usage ? saving(usage) : nothing}
        <ul class="kinds">
          ${KINDS.map(
            ([kind, label]) => html`<li>
              <span class="number">${usage ? showCount(usage.objects[kind].count) : UNKNOWN}</span> <span>${label}</span>
              <span class="number">${usage ? showSize(usage.objects[kind].bytes) : ""}</span>
            </li>`,
          )}
        </ul>
      </dd>
      <dt>On disk</dt>
      <dd>${usage ? packs(usage) : UNKNOWN}</dd>
      <dt>This site</dt>
      <dd>${usage ? origin(usage) : UNKNOWN}</dd>
    </dl>
  `;
}

/**
 * De-duplication saves the difference between the sizes of the NARs and of the stored objects.
 * Empty if there is no saving.
 */
function saving({ logical, stored }: StorageUsage): TemplateResult | typeof nothing {
  const percent = Math.floor((1 - stored / logical) * 100);
  if (!(percent > 0)) return nothing;
  return html`<span class="dim">de-duplication saves ${showSize(logical - stored)} (${percent} %)</span>`;
}

function packs({ packs: { count, bytes }, stored }: StorageUsage): TemplateResult {
  const dead = bytes - stored;
  return html`${showSize(bytes)} <span class="dim">in ${plural(count, "pack")}</span>
    <div class="dim">${dead > 0 ? `garbage collection can free ${showSize(dead)} of it` : "garbage collection can free none of it"}</div>`;
}

function origin({ originUsage, quota }: StorageUsage): TemplateResult {
  if (originUsage === undefined || !quota) return html`<span class="dim">unknown: the browser does not report it</span>`;
  return html`${showSize(originUsage)} <span class="dim">of ${showSize(quota)} that the browser allows</span>
    <meter aria-label="Space used by this site" min="0" max=${quota} high=${quota * 0.9} .value=${originUsage}></meter>`;
}

export const figuresStyle = css`
  dl {
    display: grid;
    grid-template-columns: max-content minmax(0, 1fr);
    gap: 0.45rem 1.25rem;
  }
  dt {
    color: var(--dim);
  }
  dd,
  .number {
    font-variant-numeric: tabular-nums;
  }
  .kinds {
    display: grid;
    grid-template-columns: max-content max-content max-content;
    gap: 0 0.6rem;
    margin-top: 0.15rem;
    color: var(--dim);
    font-size: 0.8125rem;
    list-style: none;
  }
  .kinds li {
    display: grid;
    grid-column: 1 / -1;
    grid-template-columns: subgrid;
  }
  .number {
    text-align: end;
  }
  meter {
    display: block;
    width: 100%;
    height: 0.6rem;
    margin-top: 0.2rem;
  }
`;
