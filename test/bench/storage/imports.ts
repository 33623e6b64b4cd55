/** Imports of a tree, of small files, and of one large file. */

import { OURS } from "../bench.ts";
import { LARGE_OFFSET, LARGE_SIZE, type TreeData } from "./data.ts";
import type { ArchiveRequest, Imported } from "./page-api.ts";
import { type Session, type Turn, turn } from "./session.ts";
import { smallFiles } from "./small-files.ts";
import type { TreeRecipe } from "./tree.ts";

/** Names of the other contenders. */
export const NATIVE = "native";
export const NATIVE_SYNCED = "native, then sync";
export const HELIA = "@helia/unixfs";
export const PUTS = "indexeddb";
export const SHA256 = "sha256 alone";
export const CUT = "cut + hashes alone";
export const WRITE = "opfs write alone";
const READ = "reading alone";

/** Maximum number of files for peers: their speed doesn't depend on it. */
const MOST_FOR_PEERS = 5000;

type Source = "file" | "http";

/**
 * Compares an import of a tree with `nix-store --add` of the same tree on disk, and with the
 * import's limit: to hash the archive while it is read.
 */
export async function importTree(
  session: Session,
  name: string,
  recipe: TreeRecipe,
  format: "nar" | "tar",
  source: Source,
): Promise<void> {
  const tree = await session.data.tree(recipe);
  noteTree(session, tree);
  await session.freshProfile();
  const archive = await offer(session, tree[format], { format, name: "tree" }, source);
  let expected: string | undefined;
  const check = (found: string): void => {
    expected ??= found;
    if (found !== expected) throw new Error(`${name}: imported as ${found}, but Nix gives the path ${expected}`);
  };
  await session.inTurn(name, "s", [
    {
      contenders: [NATIVE, NATIVE_SYNCED],
      async run() {
        const { seconds, synced, storePath } = await session.native.add(tree.path);
        check(storePath);
        return [seconds, synced];
      },
    },
    ours(
      session,
      ({ ms, storePath }) => {
        check(storePath);
        return ms / 1000;
      },
      () => session.call("importArchive", archive),
    ),
    turn(SHA256, async () => (await session.call("sha256Archive", archive)) / 1000),
  ]);
}

const noted = new Set<string>();
function noteTree(session: Session, { path, files, symlinks, directories, bytes }: TreeData): void {
  if (noted.has(path)) return;
  noted.add(path);
  session.note(
    `the tree is a part of this machine's /usr: ${files} files, ${directories} directories, ${symlinks} symlinks, ${bytes} bytes`,
  );
  session.note("native Nix has its default settings: it syncs its database, but not the files that it adds");
}

export async function importSmallFiles(
  session: Session,
  name: string,
  count: number,
  how: "nar" | "tar" | "folder",
): Promise<void> {
  const { data } = session;
  const set = smallFiles(count);
  await session.freshProfile();
  let importing: () => Promise<Imported>;
  if (how === "folder") {
    await session.pick("folder", await data.folder(count));
    importing = () => session.call("importFolder", "tree");
  } else {
    const archive = await offer(session, await data[how](set), { format: how, name: "tree" }, "file");
    importing = () => session.call("importArchive", archive);
  }
  const rate = (files: number, ms: number): number => files / (ms / 1000);
  const forPeers = Math.min(count, MOST_FOR_PEERS);
  const peer = (contender: string, method: "helia" | "indexeddb"): Turn =>
    turn(contender, async () => {
      const ms = await session.call("peer", method, forPeers);
      await session.call("clear");
      return rate(forPeers, ms);
    });
  await session.inTurn(name, "files/s", [
    ours(
      session,
      ({ ms, storePath }) => {
        sameAsBefore(count, storePath);
        return rate(count, ms);
      },
      importing,
    ),
    ...(how === "nar" ? [peer(HELIA, "helia"), peer(PUTS, "indexeddb")] : []),
  ]);
}

const paths = new Map<number, string>();

/** Checks that the same files get the same store path in every format. */
function sameAsBefore(count: number, storePath: string): void {
  const before = paths.get(count) ?? storePath;
  paths.set(count, before);
  if (storePath !== before) throw new Error(`${count} files were imported as ${storePath}, but earlier as ${before}`);
}

/** Measures the time for each file, with different numbers of files. */
export async function growth(session: Session, name: string, count: number): Promise<void> {
  const archive = { format: "nar", name: "tree" } as const;
  const file = await session.data.nar(smallFiles(count));
  await session.freshProfile();
  await session.pick("file", file);
  await session.inTurn(name, "µs/file", [
    ours(
      session,
      ({ ms }) => (1000 * ms) / count,
      () => session.call("importArchive", archive),
    ),
  ]);
}

/** Compares the import of one 1 GiB file with each part of the import by itself. */
export async function importLarge(session: Session, name: string, what: "store path" | "castore"): Promise<void> {
  const file = await session.data.large();
  await session.freshProfile();
  const archive = await offer(session, file, { format: "nar", name: "large" }, "file");
  const speed = (ms: number): number => LARGE_SIZE / 1000 / ms;
  const part = (contender: string, method: "sha256" | "cutAndHash" | "opfsWrite"): Turn =>
    turn(contender, async () => speed(await session.call("peer", method, LARGE_SIZE)));
  const reading = turn(READ, async () => speed(await session.call("readPicked")));
  const parts = [part(CUT, "cutAndHash"), part(WRITE, "opfsWrite"), reading];
  if (what === "store path") {
    const ourTurn = ours(
      session,
      ({ ms }: Imported) => speed(ms),
      () => session.call("importArchive", archive),
    );
    await session.inTurn(name, "MB/s", [ourTurn, part(SHA256, "sha256"), ...parts]);
    return;
  }
  const ourTurn = ours(session, speed, () => session.call("ingest", LARGE_OFFSET, LARGE_SIZE));
  await session.inTurn(name, "MB/s", [ourTurn, ...parts]);
}

function ours<T>(session: Session, value: (found: T) => number, work: () => Promise<T>): Turn {
  return turn(OURS, async () => value(await session.inNewStore(work)));
}

/** Makes a file on disk available to the page. */
export async function offer(session: Session, path: string, archive: ArchiveRequest, source: Source): Promise<ArchiveRequest> {
  if (source === "http") return { ...archive, url: session.server.urlOf(path) };
  await session.pick("file", path);
  return archive;
}
