import { FileObjectStore } from "../objects/file-object-store.ts";
import { objectCastore } from "../objects/object-castore.ts";
import { parsePath } from "./address-text.ts";
import type { Backend } from "./backend.ts";

/** A directory of files in the object store layout of snix. */
export interface ObjectStoreAddress {
  readonly scheme: "objectstore+file";
  readonly path: string;
}

export const objectStoreBackend: Backend<ObjectStoreAddress, "blobs" | "directories"> = {
  schemes: ["objectstore+file"],
  capabilities: ["blobs", "directories"],
  help: { form: "objectstore+file:DIR", text: "only blobs and directories, in the object store layout of snix" },
  parse: (address) => ({ scheme: address.scheme, path: parsePath(address) }),
  format: ({ scheme, path }) => `${scheme}:${path}`,
  open: async ({ path }, engine) => objectCastore(path, await FileObjectStore.open(path), engine),
};
