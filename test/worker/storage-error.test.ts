import { afterEach, describe, expect, test, vi } from "vitest";
import { isStoreError, StoreError } from "../../src/error.ts";
import { PackGone, quotaError, storageError } from "../../src/worker/storage-error.ts";

afterEach(() => void vi.unstubAllGlobals());

describe("an error of the platform", () => {
  test.each([
    ["QuotaExceededError", "quota"],
    ["SecurityError", "denied"],
    ["NotAllowedError", "denied"],
    ["InvalidStateError", "unavailable"],
    ["UnknownError", "unavailable"],
  ])("%s is a StoreError %s, with the cause", (name, code) => {
    const cause = new DOMException("why", name);
    const error = storageError(cause, "the database x");
    expect(error).toBeInstanceOf(StoreError);
    expect(error).toMatchObject({ code, cause });
    if (code !== "quota") expect(String(error)).toContain("the database x");
  });

  test.each([new StoreError("invalid", "x"), new TypeError("a bug"), "no error", undefined])(
    "%s is returned unchanged",
    (error) => {
      expect(storageError(error, "the database")).toBe(error);
    },
  );
});

describe("a full disk is reported with the space that is known:", () => {
  test.each<[string, object, boolean]>([
    ["no storage API", {}, false],
    ["no estimate", { storage: {} }, false],
    ["an estimate without figures", { storage: { estimate: async () => ({}) } }, false],
    ["an estimate of the usage alone", { storage: { estimate: async () => ({ usage: 111 }) } }, false],
    ["an estimate that fails", { storage: { estimate: () => Promise.reject(new TypeError("no")) } }, false],
    ["an estimate", { storage: { estimate: async () => ({ usage: 111, quota: 222 }) } }, true],
  ])("%s", async (_, navigator, hasFigures) => {
    vi.stubGlobal("navigator", navigator);
    const cause = new Error("full");
    const error = await quotaError(333, cause);
    expect(error).toMatchObject({ code: "quota", cause });
    expect(error.message).toContain("333");
    expect(["111", "222"].map((figure) => error.message.includes(figure))).toEqual([hasFigures, hasFigures]);
  });
});

test("a pack that is gone is corrupt, and tells its id", () => {
  const cause = new Error("why");
  const error = new PackGone("some-id", "is missing", { cause });
  expect(isStoreError(error, "corrupt")).toBe(true);
  expect(error).toMatchObject({ pack: "some-id", cause });
});
