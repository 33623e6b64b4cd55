import { openEmbeddedStore } from "../embedded-store.ts";
import { parsePath } from "./address-text.ts";
import type { Backend } from "./backend.ts";

/** An embedded store, opened by `openEmbeddedStore`. */
export interface EmbeddedAddress {
  readonly scheme: "file";
  readonly path: string;
}

export const embeddedBackend: Backend<EmbeddedAddress, "blobs" | "directories" | "pathInfos"> = {
  schemes: ["file"],
  capabilities: ["blobs", "directories", "pathInfos"],
  help: { form: "file:DIR", text: "an embedded store" },
  parse: (address) => ({ scheme: address.scheme, path: parsePath(address) }),
  format: ({ scheme, path }) => `${scheme}:${path}`,
  open: ({ path }, engine) => openEmbeddedStore(path, { engine }),
};
