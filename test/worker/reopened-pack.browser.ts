/**
 * A worker that opens a pack twice. The first attempt fails while the second one is under way. Then
 * the worker deletes the pack.
 */

import { OpfsPacks } from "../../src/worker/opfs-packs.ts";
import { PackGone } from "../../src/worker/storage-error.ts";

const SOME = [{ offset: 0, length: 3 }];

async function run(): Promise<unknown> {
  const packs = await OpfsPacks.open(crypto.randomUUID());
  if (!packs) throw new Error("there is no OPFS");
  const id = crypto.randomUUID();
  const writer = await packs.create(id);
  await writer.append(new Uint8Array(3));
  await writer.finish("never");

  // Delays the first attempt until the second one has succeeded.
  const { getFileHandle } = FileSystemDirectoryHandle.prototype;
  let fail = (): void => {};
  const held = new Promise<never>((_, reject) => {
    fail = () => reject(new DOMException("not yet", "NotFoundError"));
  });
  FileSystemDirectoryHandle.prototype.getFileHandle = () => held;
  const first = packs.read(id, SOME).catch((error: unknown) => error);
  FileSystemDirectoryHandle.prototype.getFileHandle = getFileHandle;
  packs.release(id);
  await packs.read(id, SOME);
  fail();
  const failure = await first;
  const isDeleted = await packs.delete(id);
  const cause = failure instanceof PackGone ? failure.cause : failure;
  return { first: cause instanceof DOMException ? cause.name : String(cause), isDeleted };
}

run().then(
  (answer) => self.postMessage(answer),
  (error: unknown) => self.postMessage(String(error)),
);
