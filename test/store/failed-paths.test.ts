import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { describeFailedPath, type FailedPath, FailedPathsError } from "../../src/store/failed-paths.ts";

const path = (i: number): string => `/nix/store/${String(i).repeat(32)}-path`;
const failed = (i: number, because?: number): FailedPath => ({
  storePath: path(i),
  error: new StoreError(i === 0 ? "corrupt" : "not-found", because === undefined ? `reason ${i}` : `${path(i)} is blocked`),
  ...(because === undefined ? {} : { because: path(because) }),
});
const report = (count: number) => ({ paths: 3, bytes: 100, reused: 2, retried: 0, failed: count });
const message = (failures: FailedPath[]): string => new FailedPathsError(failures, report(failures.length)).message;

test("the error has the code and the cause of the first failure, all failures and the report", () => {
  const failures = [failed(0), failed(1)];
  const error = new FailedPathsError(failures, report(2));
  expect(error).toMatchObject({ name: "StoreError", code: "corrupt", failures, report: report(2) });
  expect(error.cause).toBe(failures[0]?.error);
});

describe("the message", () => {
  test("of one failure is its own", () => {
    expect(message([failed(1)])).toBe(`${path(1)}: reason 1`);
  });

  test("of several failures names up to three, and counts the others", () => {
    const start = `${path(0)}: reason 0; ${path(1)}: reason 1; ${path(2)}: reason 2`;
    expect(message([0, 1, 2].map((i) => failed(i)))).toBe(`3 of 8 store paths failed: ${start}`);
    expect(message([0, 1, 2, 3].map((i) => failed(i)))).toBe(`4 of 9 store paths failed: ${start}; and 1 more`);
  });

  test("counts the paths that depend on failed ones, without their reasons", () => {
    expect(message([failed(0), failed(1, 0), failed(2, 0)])).toBe(
      `3 of 8 store paths failed: ${path(0)}: reason 0. 2 of them depend on a path that failed`,
    );
  });

  test("of a path names the path once", () => {
    expect(describeFailedPath(failed(1))).toBe(`${path(1)}: reason 1`);
    expect(describeFailedPath(failed(1, 0))).toBe(`${path(1)} is blocked`);
  });
});
