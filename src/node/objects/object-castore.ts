import { ChunkedBlobService } from "../../castore/chunked-blobs.ts";
import type { ObjectStore } from "../../castore/object-store.ts";
import type { CastoreServices } from "../../castore/services.ts";
import type { HashEngine } from "../../hash/engine.ts";
import { ClosureDirectoryService } from "./closure-directories.ts";
import { ObjectChunkStore } from "./object-chunk-store.ts";
import { StagedObjectStore } from "./staged-object-store.ts";

export interface ObjectCastore extends CastoreServices {
  /** Resolves when everything that was put before survives a crash. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Creates the services in the layout of snix, on any object store. A closure of directories is
 * written after all blobs that were put before it.
 *
 * @param name name of the object store, for messages
 */
export function objectCastore(name: string, store: ObjectStore, engine: HashEngine): ObjectCastore {
  const objects = new StagedObjectStore(name, store);
  return {
    blobs: new ChunkedBlobService(new ObjectChunkStore(objects), engine),
    directories: new ClosureDirectoryService(objects),
    flush: () => objects.flush(),
    close: () => objects.close(),
  };
}
