import { mkdir, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { ChunkedBlobService } from "../castore/chunked-blobs.ts";
import { StoredDirectoryService } from "../castore/directory-store.ts";
import { StoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { acquiring } from "../resource-stack.ts";
import { publishAfter } from "../store/publish-after.ts";
import type { LocalStoreServices } from "../store/services.ts";
import type { UploadRecords } from "./binary-cache/uploads.ts";
import { lockDataDir } from "./data-dir-lock.ts";
import { writeError } from "./file-error.ts";
import { LmdbEnvironment } from "./lmdb.ts";
import { NodeHashEngine } from "./node-hash-engine.ts";
import { FileObjectStore } from "./objects/file-object-store.ts";
import { ObjectChunkStore } from "./objects/object-chunk-store.ts";
import { ObjectJournal } from "./objects/object-journal.ts";
import { KEY_ORDER } from "./objects/object-layout.ts";
import { StagedObjectStore } from "./objects/staged-object-store.ts";
import { storeAfter } from "./publishing.ts";

export interface EmbeddedStore extends LocalStoreServices {
  /** Records of the data that clients have put into the daemon's binary cache. */
  readonly uploadRecords: UploadRecords;
  /** Resolves when everything that was put before survives a crash. `pathInfos.put` flushes too. */
  flush(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Returns the default data directory: `$XDG_DATA_HOME/tvix-store-web`, or
 * `~/.local/share/tvix-store-web`.
 */
export function defaultDataDir(environment: NodeJS.ProcessEnv = process.env): string {
  const data = environment.XDG_DATA_HOME;
  // The XDG Base Directory specification says to ignore relative paths.
  return join(data?.startsWith("/") ? data : join(environment.HOME || homedir(), ".local", "share"), "tvix-store-web");
}

const DATABASE = "store.lmdb";

/**
 * Creates the data directory if it is missing, readable only by the daemon's user: a store can hold
 * private paths.
 */
async function makeDataDir(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw writeError(error, `can't create the data directory ${root}`);
  }
}

/**
 * Checks that a data directory with blobs also has its database. Without this check, a store whose
 * database was deleted would look like an empty one.
 *
 * @throws StoreError `corrupt` if the database is missing
 */
async function checkNotLost(root: string, database: string): Promise<void> {
  const size = (path: string): Promise<number> =>
    stat(path).then(
      (stats) => stats.size,
      () => 0,
    );
  if ((await size(database)) > 0 || (await size(join(root, "chunks"))) === 0) return;
  throw new StoreError(
    "corrupt",
    `the data directory ${root} has blobs, but its database ${DATABASE} is missing: restore ${DATABASE} from a backup, or delete the directory`,
  );
}

/**
 * Opens the store in one directory, for one process at a time. Blobs are in the object store
 * layout, directories and path infos in `store.lmdb`.
 *
 * @throws StoreError `conflict` if a process already uses the directory; `denied`, `quota` or
 *   `unavailable` if the directory can't be opened; `corrupt` if its `store.lmdb` is lost, cut
 *   short or no database
 */
export async function openEmbeddedStore(dataDir: string, options: { engine?: HashEngine } = {}): Promise<EmbeddedStore> {
  const root = resolve(dataDir);
  return acquiring(async (acquired) => {
    await makeDataDir(root);
    acquired.defer(await lockDataDir(root));
    const database = join(root, DATABASE);
    await checkNotLost(root, database);
    const environment = acquired.use(await LmdbEnvironment.open(database));
    const records = environment.records("cache-uploads");
    const files = await FileObjectStore.open(root, { exclusive: true });
    const objects = acquired.use(new StagedObjectStore(root, files, new ObjectJournal(environment, KEY_ORDER)));
    let closing: Promise<void> | undefined;
    return {
      blobs: new ChunkedBlobService(new ObjectChunkStore(objects), options.engine ?? new NodeHashEngine()),
      directories: new StoredDirectoryService(storeAfter(environment.directories, () => objects.flush())),
      pathInfos: publishAfter(environment.pathInfos, () => objects.flush()),
      uploadRecords: {
        get: (key) => records.get(key),
        async put(added) {
          // If the content is small, it is flushed together with the records.
          await objects.order();
          await records.put(added);
          await objects.flush();
        },
      },
      async flush() {
        await objects.flush();
        await environment.flush();
      },
      close: () => {
        closing ??= acquired.dispose();
        return closing;
      },
    };
  });
}
