import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import { BlobUploader } from "../../src/castore/blob-uploader.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { fileEntry } from "../../src/castore/file-entry.ts";
import type { IngestionEntry } from "../../src/castore/ingest.ts";
import type { OperationOptions, Progress } from "../../src/progress.ts";
import { pieces } from "../setup/pieces.ts";

const content = utf8("0123456789");

async function read(options?: OperationOptions): Promise<IngestionEntry[]> {
  const uploader = new BlobUploader(createMemoryStore().blobs);
  const entries: IngestionEntry[] = [];
  for await (const entry of fileEntry(pieces(content, 4), uploader, options)) entries.push(entry);
  await uploader.flush();
  return entries;
}

test("a file is one entry, at the root, whose content was pushed", async () => {
  const contents = { size: 10, digest: digestOf(content) };
  expect(await read()).toEqual([{ kind: "file", path: [], executable: false, contents }]);
});

test("reports progress in bytes", async () => {
  const steps: Progress[] = [];
  await read({ onProgress: (step) => steps.push(step) });
  expect(steps).toEqual([4, 8, 10].map((loaded) => ({ phase: "reading", unit: "bytes", loaded })));
});

test("an abort ends the reading with its reason", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  let told = 0;
  const onProgress = (): void => {
    told++;
    controller.abort(reason);
  };
  await expect(read({ signal: controller.signal, onProgress })).rejects.toBe(reason);
  expect(told).toBe(1);
});
