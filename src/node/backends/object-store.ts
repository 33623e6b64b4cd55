import { ChunkedBlobService } from "../../castore/chunked-blobs.ts";
import { FileObjectStore } from "../objects/file-object-store.ts";
import { ObjectChunkStore } from "../objects/object-chunk-store.ts";
import { StagedObjectStore } from "../objects/staged-object-store.ts";
import { parsePath } from "./address-text.ts";
import type { Backend } from "./backend.ts";

/** A directory of files in the object store layout of snix. */
export interface ObjectStoreAddress {
  readonly scheme: "objectstore+file";
  readonly path: string;
}

export const objectStoreBackend: Backend<ObjectStoreAddress, "blobs"> = {
  schemes: ["objectstore+file"],
  capabilities: ["blobs"],
  help: { form: "objectstore+file:DIR", text: "only blobs, in the object store layout of snix" },
  parse: (address) => ({ scheme: address.scheme, path: parsePath(address) }),
  format: ({ scheme, path }) => `${scheme}:${path}`,
  async open({ path }, engine) {
    const objects = new StagedObjectStore(path, await FileObjectStore.open(path));
    const blobs = new ChunkedBlobService(new ObjectChunkStore(objects), engine);
    return { blobs, flush: () => objects.flush(), close: () => objects.close() };
  },
};
