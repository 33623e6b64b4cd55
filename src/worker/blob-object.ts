import type { ChunkMeta } from "../castore/blob-service.ts";
import type { BlobEntry } from "../castore/chunk-store.ts";
import { asDigest, DIGEST_LENGTH, type Digest, formatDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";

/** Length in bytes of an entry of a chunk list: a digest and a size (uint64, little-endian). */
const CHUNK_LENGTH = DIGEST_LENGTH + 8;

/**
 * Encodes the object of a blob of several chunks: the number of chunks (uint32, little-endian), the
 * chunk list, and the encoded outboard if there is one.
 */
export function encodeBlob({ chunks, bao }: BlobEntry): Uint8Array {
  const list = 4 + chunks.length * CHUNK_LENGTH;
  const bytes = new Uint8Array(list + (bao?.length ?? 0));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, chunks.length, true);
  for (const [i, { digest, size }] of chunks.entries()) {
    bytes.set(digest, 4 + i * CHUNK_LENGTH);
    view.setBigUint64(4 + i * CHUNK_LENGTH + DIGEST_LENGTH, BigInt(size), true);
  }
  if (bao) bytes.set(bao, list);
  return bytes;
}

/**
 * Decodes the object of a blob of several chunks.
 *
 * @throws StoreError `corrupt` if the chunk list is cut short
 */
export function decodeBlob(bytes: Uint8Array, blob: Digest): BlobEntry {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = bytes.length < 4 ? 0 : view.getUint32(0, true);
  if (bytes.length < 4 + count * CHUNK_LENGTH)
    throw new StoreError("corrupt", `the stored chunk list of blob ${formatDigest(blob)} is damaged`);
  const list = bytes.subarray(4, 4 + count * CHUNK_LENGTH);
  const bao = bytes.subarray(4 + list.length);
  return { chunks: decodeChunkList(list, blob), ...(bao.length > 0 && { bao }) };
}

/**
 * Decodes a chunk list without a count, as version 1 of the database stored it.
 *
 * @throws StoreError `corrupt` if the last entry is cut short
 */
export function decodeChunkList(list: Uint8Array, blob: Digest): ChunkMeta[] {
  if (list.length % CHUNK_LENGTH !== 0)
    throw new StoreError("corrupt", `the stored chunk list of blob ${formatDigest(blob)} is damaged`);
  const view = new DataView(list.buffer, list.byteOffset, list.byteLength);
  return Array.from({ length: list.length / CHUNK_LENGTH }, (_, i) => ({
    digest: asDigest(list.slice(i * CHUNK_LENGTH, i * CHUNK_LENGTH + DIGEST_LENGTH)),
    size: Number(view.getBigUint64(i * CHUNK_LENGTH + DIGEST_LENGTH, true)),
  }));
}
