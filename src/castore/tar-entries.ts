import { Turn } from "../turn.ts";
import type { BlobUploader } from "./blob-uploader.ts";
import type { IngestionEntry } from "./ingest.ts";
import { type TarEntry, TarParser } from "./tar-parser.ts";
import { TarTree } from "./tar-tree.ts";

/** Number of entries that are yielded together. */
const TOGETHER = 1000;

export interface TarOptions {
  /**
   * By default the archive must have one top-level entry, which becomes the root. `false` makes a
   * directory of all top-level entries the root, as `stripRoot = false` does in nixpkgs'
   * `fetchzip`.
   */
  readonly stripRoot?: boolean | undefined;
}

/**
 * Yields the entries of a tar archive. Pushes the contents of its files into `uploader` as they
 * come. A tar has no order, so the tree (not the contents) is held in memory until the end. The
 * archive may have a million files and directories, and 256 MiB of names.
 *
 * Leading `/` and `./` are stripped. Hard links become files. Holes of sparse files become zeros. A
 * directory that is named again is merged. Anything else that is named again replaces the earlier
 * entry.
 *
 * @throws StoreError `invalid` if the archive is damaged or cut short, or has a name with `..`, a
 *   device, a FIFO or too many entries. Also, unless `stripRoot` is false, if it has no top-level
 *   entry or more than one.
 */
export async function* tarEntries(
  source: AsyncIterable<Uint8Array>,
  uploader: BlobUploader,
  { signal, stripRoot = true }: TarOptions & { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<IngestionEntry[]> {
  const tree = new TarTree();
  let current: TarEntry | undefined;
  const parser = new TarParser({
    entry(entry) {
      current = entry;
      if (entry.type === "file") uploader.begin();
    },
    content(bytes) {
      uploader.write(bytes);
    },
    end() {
      if (current) tree.add(current, current.type === "file" ? uploader.end() : undefined);
    },
  });
  const turn = new Turn(signal);
  for await (const bytes of source) {
    signal?.throwIfAborted();
    for (const _ of parser.push(bytes)) {
      await uploader.drain();
      await turn.pass();
    }
    await uploader.drain();
  }
  parser.end();
  let entries: IngestionEntry[] = [];
  for (const entry of tree.entries({ keepTop: !stripRoot })) {
    entries.push(entry);
    if (entries.length < TOGETHER) continue;
    yield entries;
    entries = [];
  }
  yield entries;
}
