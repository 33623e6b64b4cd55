import type { BlobService } from "../castore/blob-service.ts";
import type { FileNode } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import type { ReadOptions } from "../store/import.ts";
import type { Pin } from "../thread/maintenance-api.ts";
import { increment, type WriteTransaction } from "./database.ts";
import type { PackedStore } from "./packed-store.ts";
import type { WriteSession } from "./write-session.ts";

/**
 * Pins the content of a store path.
 *
 * @throws StoreError `invalid` if `name` is empty or `storePath` is malformed, `not-found` if the
 *   store does not have the path
 */
export async function pinStorePath(store: PackedStore, name: string, storePath: string): Promise<void> {
  checkName(name);
  const hashPart = parseHashPart(storePath);
  await store.database.write(["pins", "meta", "pathInfos"], "strict", async (transaction) => {
    const info = await transaction.objectStore("pathInfos").get(hashPart);
    if (!info) throw new StoreError("not-found", `${storePath} is not in the store`);
    await put(transaction, { name, node: info.node });
  });
}

/** Deletes a pin. @returns whether it existed */
export async function deletePin(store: PackedStore, name: string): Promise<boolean> {
  return store.database.write(["pins"], "strict", async (transaction) => {
    const pins = transaction.objectStore("pins");
    const known = (await pins.getKey(name)) !== undefined;
    await pins.delete(name);
    return known;
  });
}

/** Writes one blob and pins it. The source reports the progress. */
export async function importBlob(
  blobs: BlobService,
  session: WriteSession,
  source: AsyncIterable<Uint8Array>,
  pin: string,
  { signal, reuse }: OperationOptions & ReadOptions,
): Promise<FileNode> {
  checkName(pin);
  const writer = await blobs.create({ signal });
  try {
    for await (const bytes of source) {
      await writer.write(bytes);
      if (bytes.byteOffset === 0 && bytes.buffer instanceof ArrayBuffer) reuse?.(bytes.buffer);
    }
    const { digest, size } = await writer.close();
    const node: FileNode = { kind: "file", digest, size: BigInt(size), executable: false };
    await session.commit(["pins"], (transaction) => put(transaction, { name: pin, node }));
    return node;
  } catch (error) {
    await writer.abort(error);
    throw error;
  }
}

async function put(transaction: WriteTransaction, pin: Pin): Promise<void> {
  await transaction.objectStore("pins").put(pin, pin.name);
  await increment(transaction, "roots");
}

function checkName(name: string): void {
  if (typeof name !== "string" || name === "") throw new StoreError("invalid", "a pin needs a name");
}
