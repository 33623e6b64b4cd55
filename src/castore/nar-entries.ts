import { StoreError } from "../error.ts";
import { NarParser } from "../nix/nar-parser.ts";
import type { BlobUploader } from "./blob-uploader.ts";
import type { IngestionEntry } from "./ingest.ts";

/**
 * Yields the entries of a NAR. Pushes the contents of its files into `uploader` as they come.
 *
 * @throws StoreError `invalid` if the bytes are not exactly one NAR
 */
export async function* narEntries(
  source: AsyncIterable<Uint8Array>,
  uploader: BlobUploader,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<IngestionEntry[]> {
  let entries: IngestionEntry[] = [];
  let isExecutable = false;
  const path: Uint8Array[] = [];
  const directories: IngestionEntry["path"][] = [];
  /** The path of the current node. A copy, because the next sibling changes `path`. */
  const nodePath = (): Uint8Array[] => [...path];
  const done = (): void => {
    path.pop();
  };
  const parser = new NarParser({
    directory() {
      directories.push(nodePath());
    },
    entry(name) {
      path.push(name);
    },
    leave() {
      const directory = directories.pop();
      if (!directory) throw new StoreError("internal", "the NAR ends a directory that did not begin");
      entries.push({ kind: "directory", path: directory });
      done();
    },
    file(_size, executable) {
      isExecutable = executable;
      uploader.begin();
    },
    content(bytes) {
      uploader.write(bytes);
    },
    endFile() {
      entries.push({ kind: "file", path: nodePath(), executable: isExecutable, contents: uploader.end() });
      done();
    },
    symlink(target) {
      entries.push({ kind: "symlink", path: nodePath(), target });
      done();
    },
  });
  for await (const bytes of source) {
    options.signal?.throwIfAborted();
    parser.push(bytes);
    await uploader.drain();
    yield entries;
    entries = [];
  }
  parser.end();
  yield entries;
}
