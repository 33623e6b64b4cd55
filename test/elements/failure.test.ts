import { describe, expect, test } from "vitest";
import { describeFailure } from "../../src/elements/failure.ts";
import { STORE_ERROR_CODES, StoreError } from "../../src/error.ts";
import { FailedPathsError, type PathsReport } from "../../src/store/failed-paths.ts";

const REPORT: PathsReport = { paths: 1, bytes: 10, reused: 0, retried: 0, failed: 2 };

describe("an error in words for a reader", () => {
  test.each(STORE_ERROR_CODES)("contains the library's own message: %s", (code) => {
    expect(describeFailure(new StoreError(code, "chunk b3:x is gone"))).toMatch(/[Cc]hunk b3:x is gone/);
  });

  test("starts with advice, if the code tells what to do", () => {
    const text = describeFailure(new StoreError("quota", "the disk is full"));
    expect(text).toMatch(/^There is no room left .* \(The disk is full\)$/);
    expect(describeFailure(new StoreError("not-found", "there is no such path"))).toBe("There is no such path.");
  });

  test("leaves a name, an address or a path at its beginning as it is", () => {
    for (const message of ["http://localhost:8000 refuses", "/nix/store/x is gone", "IndexedDB failed", "a-1 is no key"])
      expect(describeFailure(new StoreError("unavailable", message))).toBe(`${message}.`);
    expect(describeFailure(new StoreError("unavailable", "daemon: no answer"))).toBe("Daemon: no answer.");
  });

  test("ends as a sentence, once", () => {
    for (const message of ["Is it there?", "It is there.", "It is there!"])
      expect(describeFailure(new StoreError("unavailable", message))).toBe(message);
  });

  test("gives no advice for several failed paths, whose causes differ", () => {
    const failures = ["a", "b"].map((name) => ({ storePath: `/nix/store/${name}`, error: new StoreError("quota", "full") }));
    const text = describeFailure(new FailedPathsError(failures, REPORT));
    expect(text).not.toContain("There is no room left");
    expect(text).toMatch(/^[A-Z2].*\.$/);
    const one = new FailedPathsError(failures.slice(0, 1), { ...REPORT, failed: 1 });
    expect(describeFailure(one)).toContain("There is no room left");
  });

  test("also describes errors of the platform, and values that are no errors", () => {
    expect(describeFailure(new TypeError("failed to fetch"))).toBe("Failed to fetch.");
    expect(describeFailure(new RangeError(""))).toBe("RangeError.");
    expect(describeFailure("gone")).toBe("gone.");
    expect(describeFailure(undefined)).toBe("undefined.");
  });
});
