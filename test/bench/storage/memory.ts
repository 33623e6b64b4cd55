/**
 * Measures the memory of the store's worker during an import. It is a separate case, because
 * watching memory takes time.
 */

import { OURS } from "../bench.ts";
import { offer } from "./imports.ts";
import type { Session } from "./session.ts";
import { tinyFiles } from "./small-files.ts";

export const LIMIT = "limit";
export const PROCESS = "whole process of the page";

const MIB = 1024 * 1024;
const LEAST = 128 * MIB;
const PER_OBJECT = 64;

export async function heapOfTree(session: Session, name: string): Promise<void> {
  const { nar, files, directories } = await session.data.tree();
  await heap(session, name, nar, files + directories);
}

export async function heapOfObjects(session: Session, name: string, objects: number): Promise<void> {
  const set = tinyFiles(objects);
  await heap(session, name, await session.data.nar(set), objects + Math.ceil(objects / set.perDirectory) + 1);
}

async function heap(session: Session, name: string, nar: string, objects: number): Promise<void> {
  await session.freshProfile();
  const peaks = await session.page.watchMemory("/store-worker.js");
  await session.open("heap");
  const archive = await offer(session, nar, { format: "nar", name: "heap" }, "file");
  await session.call("importArchive", archive);
  const { heap, process, samples } = await peaks();
  if (samples === 0) throw new Error("the heap of the store's worker was never sampled");
  session.row(name, OURS, [heap / MIB], "MiB");
  session.row(name, LIMIT, [(LEAST + PER_OBJECT * objects) / MIB], "MiB");
  session.row(name, PROCESS, [process / MIB], "MiB");
}
