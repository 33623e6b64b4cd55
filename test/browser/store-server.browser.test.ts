import { expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { StoreServer } from "../../src/worker/store-server.ts";

function smallNar(): Uint8Array<ArrayBuffer>[] {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const writer = new NarWriter((bytes) => parts.push(new Uint8Array(bytes)));
  writer.file(2, false);
  writer.content(utf8("hi"));
  writer.endFile();
  writer.end();
  return parts;
}

test("a change that ends while the store is being closed succeeds, though no tab can be notified", async () => {
  const name = crypto.randomUUID();
  const hashWorkerUrl = new URL("../../src/worker/hash-worker.ts", import.meta.url).href;
  const server = new StoreServer();
  await server.open(name, { storage: "auto", durability: "relaxed", workers: 1, hashWorkerUrl });
  const { port1 } = new MessageChannel();
  const { storePath } = await server.imports.importArchive({ blob: new Blob(smallNar()) }, { format: "nar", name: "small" }, port1);
  const deleting = server.maintenance.delete(storePath);
  await server.close();
  expect(await deleting).toBe(true);
});
