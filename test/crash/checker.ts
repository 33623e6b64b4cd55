/** What a store must look like after its browser was killed. Pure, so that tests can show it what must not be. */

import { brings, type Operation } from "./operation.ts";
import type { KnownPath } from "./tree.ts";

/** A store path as the page found it. */
export interface ObservedPath {
  readonly storePath: string;
  /** SRI, of its PathInfo. */
  readonly narHash: string;
  readonly narSize: number;
  /** SRI, of the NAR that the store rendered. */
  readonly rendered?: string | undefined;
  /** Why it did not render. */
  readonly error?: string | undefined;
}

export interface Observed {
  /** All that `pathInfos()` lists. */
  readonly paths: readonly ObservedPath[];
  /** Those that `pathInfo()` knows among those that it was asked for. */
  readonly found: readonly string[];
  /** Of `verify()`, where the store has it: as text, what is corrupt and what is missing. */
  readonly verify?: { readonly corrupt: readonly string[]; readonly missing: readonly string[] } | undefined;
}

export type ViolationKind =
  /** Acknowledged, and not there; or there before, and gone. */
  | "lost"
  /** Its deletion was acknowledged, and it is there. */
  | "undeleted"
  /** There, and nothing brought it. */
  | "unknown"
  /** Listed, and does not render with its own hash; or found, and not listed. */
  | "half"
  /** Listed without something that it refers to. */
  | "open-closure"
  /** `verify()` is not clean. */
  | "corrupt"
  /** Space was not reclaimed. */
  | "space"
  /** Rejected, without a reason for it. */
  | "failed"
  /** The store could not be opened, or did not answer. */
  | "unusable";

export interface Violation {
  readonly kind: ViolationKind;
  readonly text: string;
}

export interface Expectation {
  /** What the store held before the operations. */
  readonly before: ReadonlySet<string>;
  readonly operations: readonly Operation[];
  /** Everything that any operation may have brought. */
  readonly known: ReadonlyMap<string, KnownPath>;
}

export function checkState(observed: Observed, { before, operations, known }: Expectation): Violation[] {
  const violations: Violation[] = [];
  const complain = (kind: ViolationKind, text: string): void => {
    violations.push({ kind, text });
  };
  const listed = new Set(observed.paths.map(({ storePath }) => storePath));
  if (listed.size !== observed.paths.length) complain("half", "pathInfos() lists a path twice");

  for (const { storePath, narHash, narSize, rendered, error } of observed.paths) {
    const expected = known.get(storePath);
    if (!expected) complain("unknown", `${storePath}: nothing ever brought it`);
    else if (expected.narHash !== narHash || expected.narSize !== narSize)
      complain(
        "half",
        `${storePath}: its PathInfo says ${narHash}, ${narSize} bytes, not ${expected.narHash}, ${expected.narSize}`,
      );
    if (error !== undefined) complain("half", `${storePath} is listed and does not render: ${error}`);
    else if (rendered !== narHash) complain("half", `${storePath} renders as ${rendered}, its PathInfo says ${narHash}`);
  }
  for (const storePath of observed.found)
    if (!listed.has(storePath)) complain("half", `${storePath}: pathInfo() knows it, pathInfos() does not list it`);
  const found = new Set(observed.found);
  for (const storePath of listed)
    if (!found.has(storePath)) complain("half", `${storePath}: pathInfos() lists it, pathInfo() does not know it`);

  const touched = new Set([...before, ...listed]);
  for (const { action } of operations) {
    for (const storePath of brings(action)) touched.add(storePath);
    if (action.kind === "delete") touched.add(action.storePath);
  }
  for (const storePath of touched) {
    const { present, absent } = possible(storePath, before, operations);
    if (listed.has(storePath) && !present) {
      const [kind, why] = operations.some(({ action }) => action.kind === "delete" && action.storePath === storePath)
        ? (["undeleted", "its deletion was acknowledged"] as const)
        : (["unknown", "nothing brought it since it was last seen to be absent"] as const);
      complain(kind, `${storePath} is there: ${why}`);
    }
    if (!listed.has(storePath) && !absent)
      complain(
        "lost",
        `${storePath} is not there: ${before.has(storePath) ? "it was there before" : "it was acknowledged"}, and nobody deleted it`,
      );
  }

  for (const storePath of listed) {
    for (const reference of known.get(storePath)?.references ?? []) {
      const excused =
        listed.has(reference) ||
        (before.has(storePath) && !before.has(reference)) ||
        operations.some(({ action }) => action.kind === "delete" && action.storePath === reference);
      if (!excused) complain("open-closure", `${storePath} is there, ${reference}, to which it refers, is not`);
    }
  }

  for (const text of observed.verify?.corrupt ?? []) complain("corrupt", `verify(): corrupt: ${text}`);
  for (const text of observed.verify?.missing ?? []) complain("corrupt", `verify(): missing: ${text}`);
  for (const operation of operations)
    if (operation.failed !== undefined)
      complain("failed", `${operation.action.kind} was rejected with nothing wrong: ${operation.failed}`);
  return violations;
}

/**
 * What may have become of a store path. An operation takes effect somewhere between its start and its acknowledgement, wholly or, if
 * it was not acknowledged, perhaps not at all; of two that overlap either may have been the later one.
 */
export function possible(
  storePath: string,
  before: ReadonlySet<string>,
  operations: readonly Operation[],
): { present: boolean; absent: boolean } {
  interface Effect {
    readonly start: number;
    readonly end: number;
    readonly certain: boolean;
  }
  const effect = ({ started, acknowledged }: Operation): Effect => ({
    start: started,
    end: acknowledged ?? Number.POSITIVE_INFINITY,
    certain: acknowledged !== undefined,
  });
  const initial: Effect = { start: Number.NEGATIVE_INFINITY, end: Number.NEGATIVE_INFINITY, certain: true };
  const puts = operations.filter(({ action }) => brings(action).includes(storePath)).map(effect);
  const deletes = operations.filter(({ action }) => action.kind === "delete" && action.storePath === storePath).map(effect);
  (before.has(storePath) ? puts : deletes).push(initial);
  // Something certain that nothing of the other kind can have come after.
  const prevails = (ones: readonly Effect[], others: readonly Effect[]): boolean =>
    ones.some((one) => one.certain && others.every((other) => other.end < one.start));
  return { present: !prevails(deletes, puts), absent: !prevails(puts, deletes) };
}

/** What a store takes, in bytes. */
export interface Space {
  /** In the origin's private file system. */
  readonly opfsFiles: number;
  readonly opfsBytes: number;
  /** Of the records of all its databases: keys and values. */
  readonly databaseRecords: number;
  readonly databaseBytes: number;
  /** What the browser says that the origin takes. Databases are cleaned up when the browser likes to: this may be more. */
  readonly estimate: number;
}

/** Packs are rewritten when too little of them is live, not when a little is dead. */
const SLACK_FACTOR = 2;
const MiB = 1024 * 1024;
/** An open pack, journals, an index. */
const SLACK = 16 * MiB;
/** What an empty store may still take: its schema, an index without entries, a pack's header. */
const EMPTY_SLACK = MiB;

/** After garbage was collected, with nothing else going on. @param live of all NARs together, in bytes: content is not more than that */
export function checkSpace({ opfsBytes, opfsFiles, databaseBytes, databaseRecords }: Space, live: number): Violation[] {
  const taken = opfsBytes + databaseBytes;
  const limit = live === 0 ? EMPTY_SLACK : live * SLACK_FACTOR + SLACK;
  if (taken <= limit) return [];
  const where = `${opfsBytes} bytes in ${opfsFiles} files, ${databaseBytes} in ${databaseRecords} records`;
  return [
    {
      kind: "space",
      text: `after collectGarbage the store takes ${where}, for ${live} bytes of NARs: at most ${limit} are expected`,
    },
  ];
}

/** What the browser itself adds for files and databases that are all but empty. */
const EMPTY_DISK = 16 * MiB;

/**
 * After everything was deleted and the browser has ended. The browser's own estimate can't be held against a store: Chromium forgets
 * to count what was written just before a kill, subtracts it when it is deleted, and tells of 4 GiB when that comes out below zero.
 *
 * @param disk bytes of the files in which the browser keeps the origin's storage
 * @param storage databases are cleaned up when the browser likes to, files at once
 */
export function checkEmptied(disk: number, storage: "opfs" | "indexeddb"): Violation[] {
  if (storage === "indexeddb" || disk <= EMPTY_DISK) return [];
  return [{ kind: "space", text: `everything was deleted, and the browser still keeps ${disk} bytes on the disk` }];
}
