import { css } from "lit";

/** Three columns on a wide screen, one column at a time on a narrow one. */
export const viewerLayout = css`
  :host {
    display: flex;
    flex-direction: column;
    height: 100%;
    overflow: hidden;
    background: var(--paper);
  }
  header {
    display: flex;
    align-items: center;
    gap: 0.75rem;
    padding: 0.45rem 0.75rem;
    border-bottom: 1px solid var(--line);
    background: var(--wash);
  }
  h1 {
    font-size: 1rem;
    font-weight: 650;
    letter-spacing: -0.01em;
  }
  h1 a {
    color: inherit;
    text-decoration: none;
  }
  .count {
    font-variant-numeric: tabular-nums;
    white-space: nowrap;
  }
  .offline {
    margin-inline-start: auto;
    font-size: 0.8125rem;
    white-space: nowrap;
  }
  main {
    position: relative;
    flex: 1;
    display: grid;
    grid-template: auto minmax(0, 1fr) / minmax(16rem, 23rem) minmax(0, 1fr);
    min-height: 0;
  }
  .wide {
    grid-column: 1 / -1;
  }
  nav {
    grid-area: 2 / 1;
    display: flex;
    min-height: 0;
    border-inline-end: 1px solid var(--line);
  }
  nav > * {
    flex: 1;
    min-width: 0;
  }
  .detail {
    grid-area: 2 / 2;
    display: flex;
    flex-direction: column;
    min-width: 0;
    min-height: 0;
  }
  .empty {
    grid-area: 2 / 1 / auto / -1;
    display: grid;
    align-content: center;
    justify-items: center;
    gap: 0.9rem;
    padding: 1.5rem;
    text-align: center;
  }
  .empty h2 {
    font-size: 1.25rem;
    font-weight: 600;
  }
  .empty p {
    max-width: 34rem;
    color: var(--dim);
    text-wrap: balance;
  }
  .empty .row {
    justify-content: center;
  }
  .empty .running {
    width: min(26rem, 100%);
  }
  .say {
    padding: 0.75rem;
    overflow-wrap: anywhere;
  }
  .none-chosen {
    margin: auto;
  }
  .back {
    display: none;
    flex: none;
    padding: 0.45rem 0.75rem;
  }
  .title {
    display: flex;
    flex-wrap: wrap;
    align-items: flex-start;
    gap: 0.5rem 1rem;
    padding: 0.6rem 0.75rem 0.4rem;
  }
  .names {
    flex: 1 1 20rem;
    min-width: 0;
  }
  .title h2 {
    font-size: 1.0625rem;
    font-weight: 650;
    overflow-wrap: anywhere;
  }
  .title h2:focus {
    outline: none;
  }
  .title .mono {
    font-size: 0.75rem;
    overflow-wrap: anywhere;
  }
  .tabs {
    display: flex;
    gap: 0.25rem;
    padding: 0 0.5rem;
    border-bottom: 1px solid var(--line);
  }
  .tabs button {
    margin-bottom: -1px;
    border: 0;
    border-bottom: 2px solid transparent;
    border-radius: 0;
    background: none;
    color: var(--dim);
  }
  .tabs button[aria-selected="true"] {
    border-color: var(--accent);
    color: var(--ink);
    font-weight: 600;
  }
  .tab-panel {
    flex: 1;
    display: grid;
    min-height: 0;
  }
  aside {
    position: absolute;
    z-index: 2;
    inset: 0 0 0 auto;
    display: flex;
    flex-direction: column;
    width: min(28rem, 100%);
    border-inline-start: 1px solid var(--line);
    background: var(--paper);
    box-shadow: -6px 0 24px rgb(0 0 0 / 14%);
  }
  .panel-head {
    display: flex;
    align-items: center;
    padding: 0.5rem 0.5rem 0.5rem 1rem;
    border-bottom: 1px solid var(--line);
  }
  .panel-head h2 {
    flex: 1;
    font-size: 0.9375rem;
    font-weight: 600;
  }
  .panel-body {
    flex: 1;
    display: flex;
    flex-direction: column;
    min-height: 0;
    padding: 1rem;
    overflow: auto;
  }
  .panel-body > tvix-sync {
    flex: 1 0 auto;
    max-height: max(100%, 26rem);
  }
  .source {
    display: grid;
    grid-template-columns: minmax(0, 1fr);
    gap: 0.75rem;
    margin-top: 1.25rem;
    padding-top: 1rem;
    border-top: 1px solid var(--line);
  }
  .source h3 {
    font-size: 0.9375rem;
    font-weight: 600;
  }
  .overlay {
    position: absolute;
    z-index: 3;
    inset: 0;
    display: grid;
    place-items: center;
    border: 3px dashed var(--accent);
    background: color-mix(in srgb, var(--paper) 80%, transparent);
    color: var(--accent);
    font-size: 1.25rem;
    pointer-events: none;
  }
  dialog {
    max-width: min(32rem, 92vw);
    padding: 1.1rem 1.25rem;
    border: 1px solid var(--line);
    border-radius: 8px;
    background: var(--paper);
    color: inherit;
    overflow-wrap: anywhere;
  }
  dialog::backdrop {
    background: rgb(0 0 0 / 40%);
  }
  dialog h2 {
    font-size: 1rem;
  }
  .end {
    justify-content: flex-end;
  }
  .spinner {
    width: 0.75em;
    height: 0.75em;
    border: 2px solid currentcolor;
    border-top-color: transparent;
    border-radius: 50%;
    animation: turn 0.9s linear infinite;
  }
  @keyframes turn {
    to {
      rotate: 1turn;
    }
  }
  @media (prefers-reduced-motion: reduce) {
    .spinner {
      animation-duration: 4s;
    }
  }
  @media (max-width: 64rem) {
    main {
      grid-template-columns: minmax(14rem, 17rem) minmax(0, 1fr);
    }
  }
  @media (max-width: 48rem) {
    main {
      grid-template-columns: minmax(0, 1fr);
    }
    nav {
      border: 0;
    }
    .detail {
      grid-area: 2 / 1;
    }
    .at-list > .detail,
    .at-path > nav {
      display: none;
    }
    .back {
      display: block;
    }
    aside {
      border: 0;
    }
    header {
      gap: 0.5rem;
    }
    .count,
    .word {
      display: none;
    }
  }
`;
