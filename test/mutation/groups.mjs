// @ts-check
import { existsSync, readdirSync } from "node:fs";
import { resolve } from "node:path";

/**
 * Groups of source files, with the tests in Node that concern them. Mutants of a group are tested
 * with the tests of the group only. Each group has the tests of the same names as its sources, and
 * some others.
 *
 * @typedef {object} Group
 * @property {string} room the folder of the sources below src, and of their tests below test
 * @property {string} sources names of source files, without `.ts`
 * @property {string} [tests] names of further test files of the room, without `.test.ts`
 * @property {readonly string[]} [elsewhere] further test files, below test
 */

/** The conformance suites on services in memory. */
const SUITES = "mutation/memory-suites.ts";

/** @type {Readonly<Record<string, Group>>} */
export const GROUPS = {
  archives: {
    room: "castore",
    sources: "tar-entries tar-header tar-parser tar-pax tar-sparse tar-tree nar-entries file-entry",
  },
  blobs: {
    room: "castore",
    sources: `blob-service blob-uploader chunk-list chunk-store chunked-blob-writer chunked-blobs chunker expected-digest message-writer
      object-store outboards pushed-bytes services`,
    elsewhere: [SUITES],
  },
  directories: {
    room: "castore",
    sources: `digest node directory directory-closure directory-codec directory-service directory-store cached-directories
      ingest`,
    tests: "nar-entries",
    elsewhere: [SUITES],
  },
  "path-infos": {
    room: "store",
    sources: `path-info path-info-check path-info-json path-info-merge path-info-service path-resolver present list
      list-entry closure references-first publish-after read-only services signature-report signatures signing trust
      castore-url nar-info outage failed-paths`,
    elsewhere: [SUITES],
  },
  nars: {
    room: "store",
    sources: `nar nar-listing nar-plan nar-sizes nario tree-walk trees-by-rule directory-reader derived-directories`,
    elsewhere: [SUITES],
  },
  imports: {
    room: "store",
    sources: "import import-derivation addressing content-address-check hash-modulo git-hash scan-references",
  },
  substitution: {
    room: "store",
    sources: "binary-cache cache-files http-answer import-substitutes substitute substituter",
    tests: "substitute-bad-input",
  },
  sync: {
    room: "store",
    sources: "sync copied-tree copy-blobs copy-content missing-content reused-chunks",
  },
};

const root = resolve(import.meta.dirname, "../..");

/** @param {string | undefined} words */
const split = (words) => (words ?? "").split(/\s+/).filter((word) => word !== "");

/**
 * The source files of a group.
 *
 * @param {string} group
 */
export function sourcesOf(group) {
  const { room, sources } = groupOf(group);
  return split(sources).map((name) => `src/${room}/${name}.ts`);
}

/**
 * The test files of a group.
 *
 * @param {string} group
 */
export function testsOf(group) {
  const { room, sources, tests, elsewhere = [] } = groupOf(group);
  const inRoom = (/** @type {string} */ name) => `test/${room}/${name}.test.ts`;
  const mirrored = split(sources).map(inRoom);
  const named = [...split(tests).map(inRoom), ...elsewhere.map((file) => `test/${file}`)];
  return [...new Set([...mirrored.filter((file) => existsSync(resolve(root, file))), ...named])];
}

/** @param {string} group */
function groupOf(group) {
  const found = GROUPS[group];
  if (!found) throw new Error(`there is no group ${group}; the groups are ${Object.keys(GROUPS).join(", ")}`);
  return found;
}

/**
 * What is wrong with the groups. Each source file must be in one group, and each named file must
 * exist.
 */
export function problemsOfGroups() {
  const names = Object.keys(GROUPS);
  const grouped = names.flatMap(sourcesOf);
  const rooms = new Set(Object.values(GROUPS).map(({ room }) => room));
  const files = [...rooms].flatMap((room) => readdirSync(resolve(root, "src", room)).map((name) => `src/${room}/${name}`));
  return [
    ...files.filter((file) => !grouped.includes(file)).map((file) => `${file} is in no group`),
    ...grouped.filter((file, index) => grouped.indexOf(file) !== index).map((file) => `${file} is in two groups`),
    ...[...grouped, ...names.flatMap(testsOf)]
      .filter((file) => !existsSync(resolve(root, file)))
      .map((file) => `${file} does not exist`),
  ];
}
