import { html } from "lit";
import type { StorePanel } from "./store-panel.ts";

/** Copies store paths from and to a daemon. */
export const syncPanel: StorePanel = {
  name: "sync",
  button: "Sync",
  title: "Sync with a daemon",
  render: ({ store, paths, daemon }) => html`<tvix-sync .store=${store} .paths=${paths} daemon=${daemon}></tvix-sync>`,
};
