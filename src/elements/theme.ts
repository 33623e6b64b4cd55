import { css } from "lit";

/**
 * Look of all elements. A page restyles them by setting the `--tvix-*` properties and
 * `color-scheme` on an ancestor. The elements fetch no font or image.
 */
export const theme = css`
  :host {
    --ink: var(--tvix-ink, light-dark(#1d2126, #dfe3e8));
    --dim: var(--tvix-dim, light-dark(#5c646e, #98a1ac));
    --paper: var(--tvix-paper, light-dark(#ffffff, #15181d));
    --wash: var(--tvix-wash, light-dark(#f5f6f8, #1b1f25));
    --line: var(--tvix-line, light-dark(#dfe2e7, #2d333b));
    --accent: var(--tvix-accent, light-dark(#2f5fb0, #8cb2f5));
    --accent-ink: light-dark(#ffffff, #0d1420);
    --accent-wash: light-dark(#e4ecf9, #223049);
    --good: light-dark(#23713c, #7fce95);
    --bad: light-dark(#ab2430, #ff9a9a);
    --bad-wash: light-dark(#fbeaeb, #38191d);
    --mono: var(--tvix-mono, ui-monospace, "SFMono-Regular", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace);
    --sans: var(--tvix-sans, system-ui, -apple-system, "Segoe UI", "Noto Sans", "DejaVu Sans", sans-serif);
    --row: 1.75rem;
    display: block;
    box-sizing: border-box;
    color: var(--ink);
    font: 0.875rem / 1.45 var(--sans);
  }
  :host([hidden]),
  [hidden] {
    display: none !important;
  }
  @media (pointer: coarse) {
    :host {
      --row: 2.5rem;
    }
  }
  *,
  *::before,
  *::after {
    box-sizing: border-box;
  }
  h1,
  h2,
  h3,
  p,
  dl,
  dd,
  ul,
  pre {
    margin: 0;
    padding: 0;
  }
  a {
    color: var(--accent);
    text-decoration-color: color-mix(in srgb, currentcolor 35%, transparent);
    text-underline-offset: 0.15em;
  }
  a:hover {
    text-decoration-color: currentcolor;
  }
  code,
  pre,
  .mono {
    font-family: var(--mono);
    font-size: 0.8125rem;
  }
  .dim {
    color: var(--dim);
  }
  .bad {
    color: var(--bad);
  }
  .good {
    color: var(--good);
  }
  :focus-visible {
    outline: 2px solid var(--accent);
    outline-offset: 1px;
  }
  .visually-hidden {
    position: absolute;
    width: 1px;
    height: 1px;
    overflow: hidden;
    clip-path: inset(50%);
    white-space: nowrap;
  }
`;

/** Styles of buttons, fields and similar controls, for the elements that have them. */
export const controls = css`
  button,
  .button {
    display: inline-flex;
    align-items: center;
    gap: 0.4em;
    min-height: var(--row);
    padding: 0 0.7rem;
    border: 1px solid var(--line);
    border-radius: 5px;
    background: var(--paper);
    color: inherit;
    font: inherit;
    white-space: nowrap;
    cursor: pointer;
  }
  button:hover:not(:disabled) {
    border-color: var(--dim);
  }
  button:disabled {
    color: var(--dim);
    cursor: default;
    opacity: 0.65;
  }
  button.primary {
    border-color: var(--accent);
    background: var(--accent);
    color: var(--accent-ink);
    font-weight: 600;
  }
  button.danger {
    color: var(--bad);
  }
  button.plain {
    border-color: transparent;
    background: none;
  }
  button[aria-pressed="true"],
  button[aria-expanded="true"],
  button[aria-selected="true"] {
    border-color: var(--accent);
    background: var(--accent-wash);
  }
  .group {
    display: inline-flex;
  }
  .group > button {
    border-radius: 0;
    margin-inline-start: -1px;
  }
  .group > button:first-child {
    border-start-start-radius: 5px;
    border-end-start-radius: 5px;
    margin: 0;
  }
  .group > button:last-child {
    border-start-end-radius: 5px;
    border-end-end-radius: 5px;
  }
  .group > button[aria-pressed="true"] {
    z-index: 1;
  }
  label {
    display: block;
  }
  input:not([type="checkbox"], [type="radio"]),
  select,
  textarea {
    width: 100%;
    min-height: calc(var(--row) + 0.125rem);
    padding: 0 0.5rem;
    border: 1px solid var(--line);
    border-radius: 5px;
    background: var(--paper);
    color: inherit;
    font: inherit;
  }
  textarea {
    display: block;
    padding: 0.35rem 0.5rem;
    resize: vertical;
  }
  [aria-invalid="true"] {
    border-color: var(--bad);
  }
  input.mono,
  textarea.mono {
    font: 0.8125rem var(--mono);
  }
  /* Phones zoom in on fields with smaller text. */
  @media (pointer: coarse) {
    input:not([type="checkbox"], [type="radio"]),
    select,
    textarea {
      font-size: 1rem;
    }
  }
  .field > .hint,
  .field > .fault {
    margin-top: 0.2rem;
    font-size: 0.8125rem;
  }
  .hint {
    color: var(--dim);
  }
  .fault {
    color: var(--bad);
  }
  .notice {
    padding: 0.45rem 0.7rem;
    border-inline-start: 3px solid var(--line);
    background: var(--wash);
    overflow-wrap: anywhere;
  }
  .notice.failed {
    border-color: var(--bad);
    background: var(--bad-wash);
  }
  .notice.done {
    border-color: var(--good);
  }
  progress {
    width: 100%;
    height: 0.4rem;
    accent-color: var(--accent);
  }
  .row {
    display: flex;
    flex-wrap: wrap;
    align-items: center;
    gap: 0.5rem;
  }
  .running > .row {
    flex-wrap: nowrap;
    justify-content: space-between;
    margin-bottom: 0.3rem;
  }
  .stack {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.75rem;
  }
`;
