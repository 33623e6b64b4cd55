import { expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { fileError, systemErrorCode, writeError } from "../../src/node/file-error.ts";

const systemError = (code: unknown) => Object.assign(new Error(`it failed: ${code}`), { code });

test.each([
  ["ENOENT", "not-found", "unavailable"],
  ["ENOTDIR", "not-found", "unavailable"],
  ["EACCES", "denied", "denied"],
  ["EPERM", "denied", "denied"],
  ["EROFS", "denied", "denied"],
  ["ENOSPC", "quota", "quota"],
  ["EDQUOT", "quota", "quota"],
  ["EFBIG", "quota", "quota"],
  ["ENAMETOOLONG", "invalid", "invalid"],
  ["ELOOP", "invalid", "invalid"],
  ["EISDIR", "invalid", "invalid"],
  ["EIO", "unavailable", "unavailable"],
])("%s is %s for a read, and %s for a write", (code, ofRead, ofWrite) => {
  const cause = systemError(code);
  const expected = { name: "StoreError", message: `can't open x: it failed: ${code}`, cause };
  expect(fileError(cause, "can't open x")).toMatchObject({ ...expected, code: ofRead });
  expect(writeError(cause, "can't open x")).toMatchObject({ ...expected, code: ofWrite });
});

test.each([["a text"], [new Error("no code")], [systemError(5)]])(
  "an error that is not of the system is unavailable: %s",
  (error) => {
    expect(systemErrorCode(error)).toBeUndefined();
    expect(fileError(error, "can't open x").code).toBe("unavailable");
  },
);

test("a StoreError stays as it is", () => {
  const error = new StoreError("not-found", "the blob is missing");
  expect(fileError(error, "can't open x")).toBe(error);
  expect(writeError(error, "can't open x")).toBe(error);
});

test("the message has no path, and the cause has all of it", () => {
  const cause = Object.assign(new Error("ENOSPC: no space left on device, open '/data/tmp/1'"), { code: "ENOSPC" });
  const error = fileError(cause, "can't write objects");
  expect([error.message, error.cause]).toEqual(["can't write objects: ENOSPC: no space left on device", cause]);
});
