import { importPanel } from "./import.ts";
import { storagePanel } from "./storage.ts";
import type { StorePanel } from "./store-panel.ts";
import { syncPanel } from "./sync.ts";

/** All panels, in the order of their buttons. */
export const STORE_PANELS: readonly StorePanel[] = [importPanel, syncPanel, storagePanel];
