/**
 * Reads from a store that exists: renders NARs, reads files and opens stores. Also checks that its
 * data is complete.
 */

import { OURS } from "../bench.ts";
import { NATIVE, offer, PUTS } from "./imports.ts";
import { flushDisks } from "./native.ts";
import type { Session } from "./session.ts";
import { filePath, smallFiles, tinyFiles } from "./small-files.ts";

const READS = 1000;
/**
 * Number of files in the store that is read, and of records in the IndexedDB object store for
 * comparison. The latter takes long to fill.
 */
const FILES = 50_000;
const BLOBS = 5000;
const LEAST_OPENS = 5;

/**
 * Imports the tree, and kills the browser as soon as the import has resolved. Then renders the tree
 * from the same profile: cold in a new browser, and warm in the same browser again.
 */
export async function renderTree(session: Session, names: { durable: string; cold: string; warm: string }): Promise<void> {
  const tree = await session.data.tree();
  const { hash } = await session.native.dumpHash(tree.path);
  await session.freshProfile();
  await session.open("tree");
  await session.pick("file", tree.nar);
  const { storePath } = await session.call("importArchive", { format: "nar", name: "tree" });
  await session.restart("kill");
  const render = async (): Promise<number> => {
    const rendered = await session.call("renderNar", storePath);
    if (rendered.hash !== hash) throw new Error(`the NAR of ${rendered.bytes} bytes has the hash ${rendered.hash}, not ${hash}`);
    return rendered.ms / 1000;
  };
  let problem = "";
  try {
    await session.open("tree");
    await render();
  } catch (error) {
    problem = `: ${error instanceof Error ? error.message : String(error)}`;
  }
  const text = `${names.durable}: after a kill of the browser the NAR has the hash of nix-store --dump | sha256sum${problem}`;
  session.checks.push({ text, met: problem === "" });
  if (problem !== "") return;

  const seconds = { cold: [] as number[], warm: [] as number[], native: [] as number[] };
  for (let round = 0; round < session.rounds; round++) {
    await session.restart("close");
    await session.open("tree");
    await flushDisks();
    seconds.cold.push(await render());
    await flushDisks();
    seconds.warm.push(await render());
    await flushDisks();
    seconds.native.push((await session.native.dumpHash(tree.path)).seconds);
  }
  for (const which of ["cold", "warm"] as const) {
    session.row(names[which], OURS, seconds[which], "s");
    session.row(names[which], NATIVE, seconds.native, "s");
  }
}

/** Reads random files: cold in a browser that has just started, and warm again. */
export async function readFiles(session: Session, names: { cold: string; warm: string }): Promise<void> {
  const set = smallFiles(FILES);
  const file = await session.data.nar(set);
  await session.freshProfile();
  await session.open("small");
  const archive = await offer(session, file, { format: "nar", name: "small" }, "file");
  const { storePath } = await session.call("importArchive", archive);
  await session.call("peer", "prepareIndexeddb", BLOBS);
  const rate = (ms: number): number => READS / (ms / 1000);
  const found = { cold: { ours: [] as number[], puts: [] as number[] }, warm: { ours: [] as number[], puts: [] as number[] } };
  for (let round = 0; round < session.rounds; round++) {
    await session.restart("close");
    await session.open("small");
    const indexes = chosen(READS, round);
    const paths = indexes.map((index) => filePath(index % FILES, set));
    const blobs = indexes.map((index) => index % BLOBS);
    for (const when of ["cold", "warm"] as const) {
      await flushDisks();
      found[when].ours.push(rate(await session.call("readFiles", storePath, paths)));
      await flushDisks();
      found[when].puts.push(rate(await session.call("peer", "readIndexeddb", blobs)));
    }
  }
  for (const when of ["cold", "warm"] as const) {
    session.row(names[when], OURS, found[when].ours, "files/s");
    session.row(names[when], PUTS, found[when].puts, "files/s");
  }
}

/** Returns pseudo-random numbers, which are the same in each run. */
function chosen(count: number, seed: number): number[] {
  let state = seed + 1;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 4;
  });
}

/** Opens a store with this many objects, each time in a new page. */
export async function openStores(session: Session, name: string, objects: number): Promise<void> {
  const file = await session.data.nar(tinyFiles(objects));
  await session.freshProfile();
  await session.open("tiny");
  const archive = await offer(session, file, { format: "nar", name: "tiny" }, "file");
  const { ms } = await session.call("importArchive", archive);
  session.note(`${objects} objects were imported in ${(ms / 1000).toFixed(1)} s`);
  await session.call("close");
  await session.restart("close");
  const times: number[] = [];
  for (let i = 0; i < Math.max(session.rounds, LEAST_OPENS); i++) {
    await session.freshPage();
    await flushDisks();
    times.push(await session.open("tiny"));
    await session.call("close");
  }
  session.row(name, OURS, times, "ms");
}
