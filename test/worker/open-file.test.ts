import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { isSyncFile, OpenFile } from "../../src/worker/open-file.ts";
import { MemoryFile } from "./memory-files.ts";
import { failure } from "./memory-store.ts";

const asHandle = (file: MemoryFile): FileSystemFileHandle => file as unknown as FileSystemFileHandle;

test("a thread without synchronous access can't open files", async () => {
  const file = new MemoryFile({ hasHandles: false, sharesHandles: false });
  expect(isSyncFile(file)).toBe(false);
  expect(await failure(OpenFile.open(asHandle(file)))).toBe("unavailable");
});

test("a file is read and written at any place, and flushed", async () => {
  const file = new MemoryFile({ hasHandles: true, sharesHandles: false });
  expect(isSyncFile(file)).toBe(true);
  const open = await OpenFile.open(asHandle(file));
  expect([open.write(utf8("abc"), 0), open.write(utf8("d"), 3)]).toEqual([3, 1]);
  const bytes = new Uint8Array(3);
  expect(open.read(bytes, 2)).toBe(2);
  expect(bytes).toEqual(utf8("cd\0"));
  open.flush();
  expect(file.flushes).toBe(1);
});

test.each([true, false])("whether others can read the file meanwhile depends on the browser: %s", async (sharesHandles) => {
  const file = new MemoryFile({ hasHandles: true, sharesHandles });
  const open = await OpenFile.open(asHandle(file), { mode: "read-only" });
  expect(open.isShareable).toBe(sharesHandles);
  const second = OpenFile.open(asHandle(file), { mode: "read-only" });
  if (sharesHandles) await second;
  else await expect(second).rejects.toMatchObject({ name: "NoModificationAllowedError" });
});

test("a file is closed, unless it was deleted: closing it might block for ever", async () => {
  const file = new MemoryFile({ hasHandles: true, sharesHandles: true });
  const open = await OpenFile.open(asHandle(file));
  expect(await open.close()).toBe(true);
  expect(file.open.size).toBe(0);
  const again = await OpenFile.open(asHandle(file));
  file.wipe();
  expect(await again.close()).toBe(false);
  expect(file.open.size).toBe(1);
});
