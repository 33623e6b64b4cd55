import { FileObjectStore } from "../../../src/node/objects/file-object-store.ts";
import { ObjectChunkStore } from "../../../src/node/objects/object-chunk-store.ts";
import type { ObjectJournal } from "../../../src/node/objects/object-journal.ts";
import { StagedObjectStore } from "../../../src/node/objects/staged-object-store.ts";

/**
 * Chunks in staged files, as the embedded store (with a journal) and `objectstore+file:` keep them.
 */
export class FileChunkStore extends ObjectChunkStore {
  readonly #objects: StagedObjectStore;

  private constructor(objects: StagedObjectStore) {
    super(objects);
    this.#objects = objects;
  }

  static async open(root: string, options: { exclusive?: boolean; journal?: ObjectJournal } = {}): Promise<FileChunkStore> {
    return new FileChunkStore(new StagedObjectStore(root, await FileObjectStore.open(root, options), options.journal));
  }

  flush(): Promise<void> {
    return this.#objects.flush();
  }

  order(): Promise<void> {
    return this.#objects.order();
  }

  close(): Promise<void> {
    return this.#objects.close();
  }
}
