import { html } from "lit";
import type { PathView } from "./path-view.ts";

/** Shows the path info of a store path: hash, size, references, signatures and NARInfo. */
export const infoView: PathView = {
  name: "info",
  label: "Info",
  accepts: () => true,
  render: ({ store, info, paths }) =>
    html`<tvix-path-info hide-download .store=${store} .info=${info} .paths=${paths}></tvix-path-info>`,
};
