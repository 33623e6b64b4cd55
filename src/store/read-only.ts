import { StoreError } from "../error.ts";
import type { StoreServices } from "./services.ts";

/** Returns a view of `store` that rejects every write with `denied`. */
export function readOnly(store: StoreServices): StoreServices {
  const { blobs, directories, pathInfos } = store;
  return {
    blobs: {
      stat: (digests, options) => blobs.stat(digests, options),
      open: (digest, options) => blobs.open(digest, options),
      readMany: (digests, options) => blobs.readMany(digests, options),
      create: refuse,
      putMany: refuse,
    },
    directories: {
      get: (digest, options) => directories.get(digest, options),
      getClosure: (digest, options) => directories.getClosure(digest, options),
      put: refuse,
      // A remote may need a write to find out the rules.
      sizeRules: refuse,
    },
    pathInfos: {
      get: (hashPart, options) => pathInfos.get(hashPart, options),
      list: (options) => pathInfos.list(options),
      put: refuse,
    },
  };
}

async function refuse(): Promise<never> {
  throw new StoreError("denied", "this store is read-only");
}
