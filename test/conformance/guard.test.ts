import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { MATRIX } from "./matrix.ts";

const SRC = fileURLToPath(new URL("../../src", import.meta.url));
const INTERFACES = [
  "BlobService",
  "DirectoryService",
  "PathInfoService",
  "LocalPathInfoService",
  "ChunkStore",
  "DirectoryStore",
  "PackStore",
];

/** Returns the names of the classes in the source that implement one of the service interfaces. */
async function implementations(): Promise<string[]> {
  const found: string[] = [];
  for (const path of await readdir(SRC, { recursive: true })) {
    if (!path.endsWith(".ts")) continue;
    const source = await readFile(join(SRC, path), "utf8");
    for (const [, name, interfaces] of source.matchAll(/class (\w+)(?:<[^>]*>)?(?: extends \w+)? implements ([\w, ]+)/g)) {
      if (name && interfaces?.split(/, */).some((one) => INTERFACES.includes(one.trim()))) found.push(name);
    }
  }
  return found.sort();
}

test("every implementation of a service interface is in the conformance matrix", async () => {
  const covered = Object.values(MATRIX).flatMap(({ covers }) => [...covers]);
  const found = await implementations();
  expect(found.length).toBeGreaterThanOrEqual(8);
  expect(found.filter((name) => !covered.includes(name as never))).toEqual([]);
  expect(covered.filter((name) => !found.includes(name))).toEqual([]);
});
