/**
 * Checks the state of a store after its browser was killed. These functions are pure, so that tests
 * can give them wrong states.
 */

import { brings, type Operation } from "./operation.ts";
import type { KnownPath } from "./tree.ts";

/** A store path as the page observed it. */
export interface ObservedPath {
  readonly storePath: string;
  /** NAR hash of the PathInfo, in SRI form. */
  readonly narHash: string;
  readonly narSize: number;
  /** SHA-256 of the NAR that the store rendered, in SRI form. */
  readonly rendered?: string | undefined;
  /** Reason why the NAR could not be rendered. */
  readonly error?: string | undefined;
}

export interface Observed {
  /** All paths that `pathInfos()` lists. */
  readonly paths: readonly ObservedPath[];
  /** The requested paths that `pathInfo()` finds. */
  readonly found: readonly string[];
  /** Result of `verify()` as text, if the store has this function. */
  readonly verify?: { readonly corrupt: readonly string[]; readonly missing: readonly string[] } | undefined;
}

export type ViolationKind =
  /** The path is missing, although it was acknowledged or was there before. */
  | "lost"
  /** The path is there, although its deletion was acknowledged. */
  | "undeleted"
  /** The path is there, although no operation brought it. */
  | "unknown"
  /** The path is listed but doesn't render with its own hash, or is found but not listed. */
  | "half"
  /** The path is listed, but one of its references is not. */
  | "open-closure"
  /** `verify()` reported a problem. */
  | "corrupt"
  /** Space was not reclaimed. */
  | "space"
  /** An operation was rejected for no valid reason. */
  | "failed"
  /** The store could not be opened, or didn't answer. */
  | "unusable";

export interface Violation {
  readonly kind: ViolationKind;
  readonly text: string;
}

export interface Expectation {
  /** Store paths that the store had before the operations. */
  readonly before: ReadonlySet<string>;
  readonly operations: readonly Operation[];
  /** All store paths that any operation may have brought. */
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
    if (!expected) complain("unknown", `${storePath}: no operation brought it`);
    else if (expected.narHash !== narHash || expected.narSize !== narSize)
      complain(
        "half",
        `${storePath}: its PathInfo says ${narHash}, ${narSize} bytes, not ${expected.narHash}, ${expected.narSize}`,
      );
    if (error !== undefined) complain("half", `${storePath} is listed but does not render: ${error}`);
    else if (rendered !== narHash) complain("half", `${storePath} renders as ${rendered}, but its PathInfo says ${narHash}`);
  }
  for (const storePath of observed.found)
    if (!listed.has(storePath)) complain("half", `${storePath}: pathInfo() finds it, but pathInfos() does not list it`);
  const found = new Set(observed.found);
  for (const storePath of listed)
    if (!found.has(storePath)) complain("half", `${storePath}: pathInfos() lists it, but pathInfo() does not find it`);

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
        : (["unknown", "no operation brought it since it was last absent"] as const);
      complain(kind, `${storePath} is there: ${why}`);
    }
    if (!listed.has(storePath) && !absent)
      complain(
        "lost",
        `${storePath} is not there: ${before.has(storePath) ? "it was there before" : "it was acknowledged"}, and no operation deleted it`,
      );
  }

  for (const storePath of listed) {
    for (const reference of known.get(storePath)?.references ?? []) {
      const excused =
        listed.has(reference) ||
        (before.has(storePath) && !before.has(reference)) ||
        operations.some(({ action }) => action.kind === "delete" && action.storePath === reference);
      if (!excused) complain("open-closure", `${storePath} is there, but its reference ${reference} is not`);
    }
  }

  for (const text of observed.verify?.corrupt ?? []) complain("corrupt", `verify(): corrupt: ${text}`);
  for (const text of observed.verify?.missing ?? []) complain("corrupt", `verify(): missing: ${text}`);
  for (const operation of operations)
    if (operation.failed !== undefined)
      complain("failed", `${operation.action.kind} was rejected for no valid reason: ${operation.failed}`);
  return violations;
}

/**
 * Tells whether a store path may be present, and whether it may be absent. An operation takes
 * effect at some time between its start and its acknowledgement. If it was not acknowledged, it may
 * have no effect. If two operations overlap, either may be the later one.
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
  // An effect prevails if it is certain, and no effect of the other kind can be later.
  const prevails = (ones: readonly Effect[], others: readonly Effect[]): boolean =>
    ones.some((one) => one.certain && others.every((other) => other.end < one.start));
  return { present: !prevails(deletes, puts), absent: !prevails(puts, deletes) };
}

/** Space that a store takes, in bytes. */
export interface Space {
  /** Files in the origin private file system. */
  readonly opfsFiles: number;
  readonly opfsBytes: number;
  /** Records in all databases of the origin: keys and values. */
  readonly databaseRecords: number;
  readonly databaseBytes: number;
  /**
   * The browser's own estimate for the origin. It can be higher, because browsers clean up
   * databases at a time of their choice.
   */
  readonly estimate: number;
}

/**
 * Ratio of taken space to live NARs that is allowed. A pack is only rewritten when too little of it
 * is live.
 */
const SLACK_FACTOR = 2;
const MiB = 1024 * 1024;
/** Additional bytes that are allowed, for an open pack, journals and an index. */
const SLACK = 16 * MiB;
/** Bytes that an empty store may take: its schema, an index without entries, a pack's header. */
const EMPTY_SLACK = MiB;

/**
 * Checks the space after a garbage collection without other operations.
 *
 * @param live size of all NARs together, in bytes; the content is not larger
 */
export function checkSpace({ opfsBytes, opfsFiles, databaseBytes, databaseRecords }: Space, live: number): Violation[] {
  const taken = opfsBytes + databaseBytes;
  const limit = live === 0 ? EMPTY_SLACK : live * SLACK_FACTOR + SLACK;
  if (taken <= limit) return [];
  const where = `${opfsBytes} bytes in ${opfsFiles} files, ${databaseBytes} in ${databaseRecords} records`;
  return [
    {
      kind: "space",
      text: `after collectGarbage the store takes ${where}, for ${live} bytes of NARs; the limit is ${limit} bytes`,
    },
  ];
}

/** Bytes that the browser itself needs for files and databases that are almost empty. */
const EMPTY_DISK = 16 * MiB;

/**
 * Checks the space after everything was deleted and the browser has ended.
 *
 * The browser's own estimate is not reliable. Chromium doesn't count data that was written just
 * before a kill, but subtracts it when it is deleted. If the result is negative, Chromium reports 4
 * GiB.
 *
 * @param disk bytes of the files in which the browser keeps the origin's storage
 * @param storage only OPFS is checked: browsers delete files at once, but clean up databases at a
 *   time of their choice
 */
export function checkEmptied(disk: number, storage: "opfs" | "indexeddb"): Violation[] {
  if (storage === "indexeddb" || disk <= EMPTY_DISK) return [];
  return [{ kind: "space", text: `everything was deleted, but the browser still keeps ${disk} bytes on disk` }];
}
