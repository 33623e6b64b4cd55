import { html } from "lit";
import type { StorePanel } from "./store-panel.ts";

/** Imports from files and from a binary cache. */
export const importPanel: StorePanel = {
  name: "import",
  button: "Import",
  title: "Import",
  render: ({ store }) => html`
    <tvix-import .store=${store}></tvix-import>
    <section class="source" aria-labelledby="from-cache">
      <h3 id="from-cache">From a binary cache</h3>
      <tvix-binary-cache .store=${store}></tvix-binary-cache>
    </section>
  `,
};
