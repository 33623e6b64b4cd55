import { html } from "lit";
import { hasLosses } from "../storage-losses.ts";
import type { StorePanel } from "./store-panel.ts";

/** Shows the space that the store uses, and maintains the store. */
export const storagePanel: StorePanel = {
  name: "storage",
  button: "Storage",
  title: "Storage",
  warns: hasLosses,
  render: ({ store, daemon, shown }) =>
    html`<tvix-store-storage .store=${store} daemon=${daemon} ?paused=${!shown}></tvix-store-storage>`,
};
