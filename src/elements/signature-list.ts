import { css, html, nothing, type TemplateResult } from "lit";
import type { SignatureReport } from "../store/signature-report.ts";
import type { SignatureState } from "../store/signatures.ts";
import { showText } from "./file-name.ts";

const STATES: Record<SignatureState, { readonly style: string; readonly text: string }> = {
  verified: { style: "good", text: "✓ verified" },
  unknown: { style: "dim", text: "key not known" },
  wrong: { style: "bad", text: "wrong: the key of this name that you trust did not make it" },
};

/**
 * Shows who signed a store path.
 *
 * @param signatures signatures of the PathInfo
 * @param report result of checking the signatures; undefined until they are checked
 * @param labelledBy id of the element that names the list
 */
export function signatureList(
  signatures: readonly string[],
  report: SignatureReport | undefined,
  labelledBy: string,
): TemplateResult {
  if (signatures.length === 0) return html`<span class="dim">none</span>`;
  return html`<ul class="signatures" aria-labelledby=${labelledBy}>
    ${signatures.map((signature, i) => {
      const state = report?.signatures[i]?.state;
      return html`<li>
        <code>${showText(signature.slice(0, Math.max(0, signature.indexOf(":"))))}</code>
        ${state === undefined ? nothing : html`<span class=${STATES[state].style}>${STATES[state].text}</span>`}
      </li>`;
    })}
  </ul>`;
}

export const signatureStyle = css`
  .signatures li {
    display: flex;
    flex-wrap: wrap;
    align-items: baseline;
    gap: 0 0.75rem;
  }
`;
