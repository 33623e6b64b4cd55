import { describe, expect, test, vi } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import { OpenFile } from "../../src/worker/open-file.ts";
import { OpfsPackWriter } from "../../src/worker/opfs-pack-writer.ts";
import { PackGone } from "../../src/worker/storage-error.ts";
import { fileError, MemoryFile } from "./memory-files.ts";
import { failure } from "./memory-store.ts";

interface Writing {
  readonly file: MemoryFile;
  readonly writer: OpfsPackWriter;
  readonly flush: ReturnType<typeof vi.fn<() => Promise<void>>>;
  readonly remove: ReturnType<typeof vi.fn<() => Promise<void>>>;
}

async function begin(): Promise<Writing> {
  const file = new MemoryFile({ hasHandles: true, sharesHandles: true });
  const handle = await OpenFile.open(file as unknown as FileSystemFileHandle);
  const flush = vi.fn(async () => {
    expect(file.open.size).toBe(0);
  });
  const remove = vi.fn(async () => {});
  return { file, flush, remove, writer: new OpfsPackWriter("id", handle, flush, remove) };
}

test("parts are appended, and can be read back", async () => {
  const { file, writer } = await begin();
  for (const part of ["ab", "", "cde"]) await writer.append(utf8(part));
  expect(file.bytes).toEqual(utf8("abcde"));
  expect(await writer.read({ offset: 1, length: 3 })).toEqual(utf8("bcd"));
  const short: unknown = await writer.read({ offset: 3, length: 3 }).catch((error: unknown) => error);
  expect(short).toBeInstanceOf(PackGone);
  expect(short).toMatchObject({ code: "corrupt", pack: "id" });
});

test("a part that does not fit is a full disk; the next one begins at the same place", async () => {
  const { file, writer } = await begin();
  file.room = 3;
  expect(await failure(writer.append(utf8("abcd")))).toBe("quota");
  file.room = 10;
  await writer.append(utf8("xy"));
  expect(file.bytes).toEqual(utf8("xyc"));
});

describe("the end of a pack", () => {
  test.each([
    ["now", 1, 0],
    ["beside", 0, 1],
    ["never", 0, 0],
  ] as const)("with sync %s flushes %i times here, and %i times elsewhere", async (sync, here, elsewhere) => {
    const { file, flush, writer } = await begin();
    await writer.finish(sync);
    expect([file.flushes, flush.mock.calls.length, file.open.size]).toEqual([here, elsewhere, 0]);
  });

  test.each(["now", "beside", "never"] as const)("with sync %s fails if the file was deleted", async (sync) => {
    const { file, flush, writer } = await begin();
    file.wipe();
    expect(await failure(writer.finish(sync))).toBe("unavailable");
    expect(flush).not.toHaveBeenCalled();
  });

  test("closes the file although it can't be flushed", async () => {
    const { file, writer } = await begin();
    const [handle] = [...file.open];
    Object.assign(handle as object, {
      flush() {
        throw fileError("QuotaExceededError");
      },
    });
    expect(await failure(writer.finish("now"))).toBe("quota");
    expect(file.open.size).toBe(0);
  });

  test("passes on the errors of a flush elsewhere", async () => {
    const { flush, writer } = await begin();
    flush.mockRejectedValueOnce(new StoreError("closed", "the store was closed"));
    expect(await failure(writer.finish("beside"))).toBe("closed");
    const other = await begin();
    other.flush.mockRejectedValueOnce(fileError("NoModificationAllowedError"));
    expect(await failure(other.writer.finish("beside"))).toBe("unavailable");
  });

  test("by an abort closes the file, and then removes it", async () => {
    const { file, remove, writer } = await begin();
    remove.mockImplementation(async () => {
      expect(file.open.size).toBe(0);
    });
    await writer.abort();
    expect(remove).toHaveBeenCalledOnce();
  });
});
