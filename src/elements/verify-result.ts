import { css, html, nothing, type TemplateResult } from "lit";
import { STORE_DIR } from "../nix/store-path.ts";
import type { DamagedObject, VerifyReport } from "../thread/maintenance-api.ts";
import { formatRoute, ROOT } from "./route.ts";
import { plural, showSize } from "./size.ts";

/**
 * Maximum number of listed items; the rest is only counted. After the loss of a disk, nobody would
 * read the full list.
 */
const LISTED = 200;

const KINDS: Record<DamagedObject["kind"], string> = {
  chunk: "chunk",
  directory: "directory",
  blob: "file content",
  "path-info": "record of a store path",
};

export function isWhole({ corrupt, missing, storePaths }: VerifyReport): boolean {
  return corrupt.length === 0 && missing.length === 0 && storePaths.length === 0;
}

/** Shows the result of a check. @param repair control that offers a repair */
export function verifyResult(report: VerifyReport, repair: TemplateResult | typeof nothing): TemplateResult {
  const { objects, bytes, corrupt, missing, storePaths } = report;
  const checked = `${plural(objects, "object")}, ${showSize(bytes)} compared`;
  if (isWhole(report)) return html`<p class="notice done" role="status">Everything is as it should be: ${checked}.</p>`;
  const found = [
    ...(corrupt.length ? [`${plural(corrupt.length, "object")} damaged`] : []),
    ...(missing.length ? [`${plural(missing.length, "object")} missing`] : []),
  ].join(", ");
  return html`
    <div class="notice failed" role="alert">
      <p><strong>${found}</strong> <span class="dim">(${checked})</span></p>
      ${storePaths.length ? nothing : html`<p>No store path needs them. Garbage collection deletes them.</p>`}
    </div>
    ${storePaths.length ? list("Affected store paths", storePaths, path) : nothing}
    ${corrupt.length ? list("Damaged", corrupt, object) : nothing} ${missing.length ? list("Missing", missing, object) : nothing}
    ${storePaths.length ? repair : nothing}
  `;
}

function list<T>(label: string, items: readonly T[], show: (item: T) => TemplateResult): TemplateResult {
  const more = items.length - LISTED;
  return html`
    <section class="found" aria-label=${label}>
      <h4>${label}</h4>
      <ul tabindex="0" aria-label=${label}>
        ${items.slice(0, LISTED).map((item) => html`<li>${show(item)}</li>`)} ${more > 0 ? html`<li class="dim">and ${plural(more, "other")}</li>` : nothing}
      </ul>
    </section>
  `;
}

function path(storePath: string): TemplateResult {
  // Only the hash of a damaged record is known.
  if (!storePath.startsWith(`${STORE_DIR}/`)) return html`<code>${STORE_DIR}/${storePath}-…</code>`;
  return html`<a href=${formatRoute({ storePath, path: ROOT })}><code>${storePath}</code></a>`;
}

function object({ kind, name }: DamagedObject): TemplateResult {
  return html`${KINDS[kind]} <code>${name}</code>`;
}

export const verifyStyle = css`
  .found h4 {
    margin: 0 0 0.2rem;
    font-size: 0.8125rem;
    font-weight: 600;
  }
  .found ul {
    max-height: 9rem;
    padding: 0.4rem 0.6rem;
    overflow: auto;
    border: 1px solid var(--line);
    border-radius: 5px;
    font-size: 0.8125rem;
    list-style: none;
  }
  .found li {
    overflow-wrap: anywhere;
  }
  .found code {
    font-size: 0.75rem;
  }
`;
