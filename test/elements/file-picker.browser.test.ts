import { afterEach, expect, test, vi } from "vitest";
import { canPickDirectory, canPickSaveFile, pickDirectory, pickSaveFile } from "../../src/elements/file-picker.ts";

afterEach(() => vi.unstubAllGlobals());

const PICKERS = [
  ["showDirectoryPicker", canPickDirectory, pickDirectory],
  ["showSaveFilePicker", canPickSaveFile, () => pickSaveFile("name")],
] as const;

test.each(PICKERS)("a browser without %s picks nothing", async (name, can, pick) => {
  vi.stubGlobal(name, undefined);
  expect(can()).toBe(false);
  expect(await pick()).toBeUndefined();
});

test.each(PICKERS)("%s gives the handle that the reader picked", async (name, can, pick) => {
  const handle = { kind: "picked" };
  const picker = vi.fn(async (_options: object) => handle);
  vi.stubGlobal(name, picker);
  expect(can()).toBe(true);
  expect(await pick()).toBe(handle);
  const options = name === "showDirectoryPicker" ? { mode: "read" } : { suggestedName: "name" };
  expect(picker.mock.calls).toEqual([[options]]);
});

test.each(PICKERS)("%s that the reader closes gives nothing; another failure is a failure", async (name, _can, pick) => {
  vi.stubGlobal(name, () => Promise.reject(new DOMException("closed", "AbortError")));
  expect(await pick()).toBeUndefined();
  const refused = new DOMException("refused", "SecurityError");
  vi.stubGlobal(name, () => Promise.reject(refused));
  await expect(pick()).rejects.toBe(refused);
});
