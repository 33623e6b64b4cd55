/** Tests that the checker finds violations: it gets stores with errors. */

import { describe, expect, test } from "vitest";
import { checkEmptied, checkSpace, checkState, type Observed, type ObservedPath, possible, type Space } from "./checker.ts";
import type { Action, Operation } from "./operation.ts";
import type { KnownPath } from "./tree.ts";

const A = "/nix/store/00000000000000000000000000000000-a";
const B = "/nix/store/11111111111111111111111111111111-b";

/** Path B refers to path A. */
const KNOWN: ReadonlyMap<string, KnownPath> = new Map([
  [A, { storePath: A, narHash: "sha256-A", narSize: 100, references: [] }],
  [B, { storePath: B, narHash: "sha256-B", narSize: 200, references: [A] }],
]);

const importA: Action = { kind: "import", format: "nar", name: "a", url: "/content/a", storePath: A };
const pullB: Action = { kind: "pull", remote: "http://127.0.0.1", storePath: B, closure: [B, A] };
const deleteA: Action = { kind: "delete", storePath: A };

let ids = 0;
function operation(action: Action, started: number, acknowledged?: number): Operation {
  return { id: ids++, tab: 0, lane: 0, action, started, ...(acknowledged !== undefined && { acknowledged }) };
}

function whole(storePath: string): ObservedPath {
  const { narHash = "", narSize = 0 } = KNOWN.get(storePath) ?? {};
  return { storePath, narHash, narSize, rendered: narHash };
}

function holding(...storePaths: string[]): Observed {
  return { paths: storePaths.map(whole), found: storePaths };
}

function kinds(observed: Observed, operations: readonly Operation[], ...before: string[]): string[] {
  return checkState(observed, { before: new Set(before), operations, known: KNOWN }).map(({ kind }) => kind);
}

describe("of a store path", () => {
  test("what was acknowledged must be there", () => {
    expect(kinds(holding(A), [operation(importA, 0, 10)])).toEqual([]);
    expect(kinds(holding(), [operation(importA, 0, 10)])).toEqual(["lost"]);
    expect(kinds(holding(A), [operation(pullB, 0, 10)])).toEqual(["lost"]);
  });

  test("what was there before must be there still", () => {
    expect(kinds(holding(A), [], A)).toEqual([]);
    expect(kinds(holding(), [], A)).toEqual(["lost"]);
    expect(kinds(holding(), [operation({ kind: "collect" }, 0, 10)], A)).toEqual(["lost"]);
  });

  test("what was not acknowledged may be there, wholly, or not", () => {
    expect(kinds(holding(A), [operation(importA, 0)])).toEqual([]);
    expect(kinds(holding(), [operation(importA, 0)])).toEqual([]);
    expect(kinds(holding(A), [operation(deleteA, 0)], A)).toEqual([]);
    expect(kinds(holding(), [operation(deleteA, 0)], A)).toEqual([]);
  });

  test("what was deleted must not be there", () => {
    expect(kinds(holding(), [operation(deleteA, 0, 10)], A)).toEqual([]);
    expect(kinds(holding(A), [operation(deleteA, 0, 10)], A)).toEqual(["undeleted"]);
  });

  test("what nothing brought must not be there", () => {
    expect(kinds(holding(A), [])).toEqual(["unknown"]);
    const stranger = "/nix/store/22222222222222222222222222222222-c";
    expect(kinds(holding(stranger), [])).toContain("unknown");
  });

  test("the later of two operations counts", () => {
    const before = new Set<string>();
    const imported = operation(importA, 0, 10);
    expect(possible(A, before, [imported, operation(deleteA, 20, 30)])).toEqual({ present: false, absent: true });
    expect(possible(A, before, [imported, operation(deleteA, 20, 30), operation(importA, 40, 50)])).toEqual({
      present: true,
      absent: false,
    });
    // If the deletion was not acknowledged, or if both ran at the same time, either result is
    // possible.
    expect(possible(A, before, [imported, operation(deleteA, 20)])).toEqual({ present: true, absent: true });
    expect(possible(A, before, [imported, operation(deleteA, 5, 30)])).toEqual({ present: true, absent: true });
    expect(possible(A, before, [imported, operation(deleteA, 20, 30), operation(importA, 40)])).toEqual({
      present: true,
      absent: true,
    });
    // A deletion that ended before the import began doesn't affect the import.
    expect(possible(A, before, [operation(deleteA, 0, 5), operation(importA, 10, 20)])).toEqual({ present: true, absent: false });
  });

  test("an operation that is rejected with nothing wrong is a fault", () => {
    expect(kinds(holding(), [{ ...operation(importA, 0), failed: "internal: ..." }])).toEqual(["failed"]);
  });
});

describe("nothing is half visible", () => {
  const imported = [operation(importA, 0)];
  const half = (part: Partial<ObservedPath>): Observed => ({ paths: [{ ...whole(A), ...part }], found: [A] });

  test("what is listed renders", () => {
    expect(kinds(half({ rendered: undefined, error: "not-found: a chunk" }), imported)).toEqual(["half"]);
    expect(kinds(half({ rendered: "sha256-of something else" }), imported)).toEqual(["half"]);
    expect(kinds(half({ rendered: undefined }), imported)).toEqual(["half"]);
  });

  test("what is listed has the PathInfo that it was imported with", () => {
    expect(kinds(half({ narHash: "sha256-X", rendered: "sha256-X" }), imported)).toEqual(["half"]);
    expect(kinds(half({ narSize: 1 }), imported)).toEqual(["half"]);
  });

  test("what is found is listed, once, and the other way round", () => {
    expect(kinds({ paths: [], found: [A] }, imported)).toEqual(["half"]);
    expect(kinds({ paths: [whole(A)], found: [] }, imported)).toEqual(["half"]);
    expect(kinds({ paths: [whole(A), whole(A)], found: [A] }, imported)).toEqual(["half"]);
  });

  test("a path is there with what it refers to, unless somebody deleted that", () => {
    expect(kinds(holding(A, B), [operation(pullB, 0)])).toEqual([]);
    expect(kinds(holding(B), [operation(pullB, 0)])).toEqual(["open-closure"]);
    expect(kinds(holding(B), [operation(deleteA, 0, 10)], A, B)).toEqual([]);
    expect(kinds(holding(B), [], B)).toEqual([]);
  });

  test("verify() is clean", () => {
    const clean = { ...holding(A), verify: { corrupt: [], missing: [] } };
    expect(kinds(clean, imported)).toEqual([]);
    expect(kinds({ ...clean, verify: { corrupt: ["chunk 1"], missing: ["chunk 2"] } }, imported)).toEqual(["corrupt", "corrupt"]);
  });
});

describe("space", () => {
  const MiB = 1024 * 1024;
  const none: Space = { opfsFiles: 0, opfsBytes: 0, databaseRecords: 0, databaseBytes: 0, estimate: 0 };

  test("garbage is found, wherever it is", () => {
    const live = 10 * MiB;
    expect(checkSpace({ ...none, opfsBytes: 20 * MiB, databaseBytes: MiB }, live)).toEqual([]);
    expect(checkSpace({ ...none, opfsBytes: 50 * MiB }, live)).toMatchObject([{ kind: "space" }]);
    expect(checkSpace({ ...none, databaseBytes: 50 * MiB }, live)).toMatchObject([{ kind: "space" }]);
    expect(checkSpace({ ...none, opfsBytes: 20 * MiB, databaseBytes: 20 * MiB }, live)).toMatchObject([{ kind: "space" }]);
  });

  test("an empty store takes next to nothing", () => {
    expect(checkSpace({ ...none, opfsBytes: 1000, databaseBytes: 1000 }, 0)).toEqual([]);
    expect(checkSpace({ ...none, opfsBytes: 4 * MiB }, 0)).toMatchObject([{ kind: "space" }]);
    expect(checkEmptied(5 * MiB, "opfs")).toEqual([]);
    expect(checkEmptied(50 * MiB, "opfs")).toMatchObject([{ kind: "space" }]);
    // Browsers clean up databases at a time of their choice.
    expect(checkEmptied(50 * MiB, "indexeddb")).toEqual([]);
  });
});
