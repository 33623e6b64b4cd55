import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { OBJECT_STORES, ROWS } from "./matrix.ts";

const SRC = fileURLToPath(new URL("../../src", import.meta.url));

/** The service interfaces, and the storage below the services. */
const INTERFACES = [
  "BlobService",
  "DirectoryService",
  "PathInfoService",
  "LocalPathInfoService",
  "ChunkStore",
  "DirectoryStore",
  "ObjectStore",
  "PackStore",
];

/** Objects that have several services. */
const GROUPS = [
  ...["CastoreServices", "StoreServices", "LocalStoreServices", "RemoteStore", "OpenedServices", "EmbeddedStore"],
  "ObjectCastore",
];

/** Code that looks as if it created a service, with the reason why it has no suite. */
const WITHOUT_SUITE: Readonly<Record<string, string>> = {
  "#holder": "chooses one of two services of a DerivedDirectories",
  packStore: "chooses one of the PackStores that a PackedStore was given",
  packedReader: "has the services of the packs, but can only read them: test/worker/write-session.browser.test.ts",
  UNPUBLISHED: "passes on what it is given, for an import that must not publish",
};

/**
 * Returns the names of functions, methods and constants that are declared as a service.
 *
 * @param classes names of the classes that implement one. Methods that return one are not found:
 *   they are constructors of their own class, such as `FileObjectStore.open`
 */
function creators(source: string, classes: readonly string[]): string[] {
  const service = `(?:${[...INTERFACES, ...GROUPS].join("|")})`;
  const any = `(?:${[...INTERFACES, ...GROUPS, ...classes].join("|")})`;
  const parameters = String.raw`\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)`;
  const patterns = [
    String.raw`\bfunction (\w+)(?:<[^>]*>)?${parameters}: (?:Promise<)?${any}\b[^;{]*\{$`,
    String.raw`^  (?:(?:static|async|override) )*(#?\w+)${parameters}: (?:Promise<)?${service}\b[^;{]*\{$`,
    String.raw`\bconst (\w+) = (?:async )?${parameters}: (?:Promise<)?${any}\b[^;{]*=>`,
    String.raw`^(?:export )?const (\w+): ${any} =`,
  ];
  return patterns.flatMap((pattern) => [...source.matchAll(new RegExp(pattern, "gm"))].map(([, name = ""]) => name));
}

function implementations(source: string): string[] {
  const classes = source.matchAll(/class (\w+)(?:<[^>]*>)?(?: extends \w+)? implements ([\w, ]+)/g);
  return [...classes]
    .filter(([, , interfaces]) => interfaces?.split(/, */).some((one) => INTERFACES.includes(one.trim())))
    .map(([, name = ""]) => name);
}

/** Returns the names of all code in `sources` that the matrix has to cover. */
function toCover(sources: readonly string[]): string[] {
  const classes = sources.flatMap(implementations);
  const created = sources.flatMap((source) => creators(source, classes));
  const backends = sources.flatMap((source) => [...source.matchAll(/const (\w+): Backend</g)].map(([, name = ""]) => name));
  return [...new Set([...classes, ...created, ...backends])].sort();
}

test("every service is in the conformance matrix", async () => {
  const paths = (await readdir(SRC, { recursive: true })).filter((path) => path.endsWith(".ts"));
  const found = toCover(await Promise.all(paths.map((path) => readFile(join(SRC, path), "utf8"))));
  const covered = [...new Set([...Object.values(ROWS), ...Object.values(OBJECT_STORES)].flatMap(({ covers }) => covers))];
  const known = [...covered, ...Object.keys(WITHOUT_SUITE)];
  expect(found.length).toBeGreaterThanOrEqual(30);
  expect(found.filter((name) => !known.includes(name))).toEqual([]);
  expect(known.filter((name) => !found.includes(name))).toEqual([]);
});

test.each([
  ["a class", "export class Some<T> extends Other implements Closing, BlobService {\n}"],
  ["a backend", 'export const Some: Backend<A, "blobs"> = {'],
  ["a function", "export function Some(store: StoreServices): StoreServices {\n"],
  [
    "a function with several lines of parameters",
    "async function Some<T>(\n  one: T,\n  two: () => void,\n): Promise<RemoteStore> {\n",
  ],
  ["a function with callbacks", "function Some(flush: (one: () => void) => Promise<void>): DirectoryService {\n"],
  ["an arrow function", "export const Some = (inner: BlobService): BlobService => ({\n"],
  ["a constant", "const Some: PathInfoService = {\n"],
  ["a method", "class Other {\n  async Some(digest: Digest): Promise<ChunkStore> {\n"],
])("the guard finds %s", (_, source) => {
  expect(toCover([source])).toEqual(["Some"]);
});

test("the guard finds a function that creates a class of another file", () => {
  expect(toCover(["class A implements BlobService {", "function b(): A {\n"])).toEqual(["A", "b"]);
});

test.each([
  ["an interface", "interface Some {\n  open(): Promise<StoreServices>;\n}"],
  ["a function with services as parameters", "function some(blobs: BlobService): Promise<void> {\n"],
  ["a type", "type Some = () => BlobService;\n"],
])("the guard ignores %s", (_, source) => {
  expect(toCover([source])).toEqual([]);
});
