import { EMPTY_BYTES } from "../bytes.ts";
import type { BlobStat, ChunkMeta } from "../castore/blob-service.ts";
import { asDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import { decodeOutboard, encodeOutboard, OUTBOARD_VERSION } from "../hash/outboard.ts";

/** `StatBlobResponse` of tvix and of snix. */
export interface BlobStatMessage {
  chunks: ChunkMessage[];
  bao: Uint8Array;
}

interface ChunkMessage {
  digest: Uint8Array;
  size: bigint;
}

/**
 * The most bytes of a blob that are sent in one message. Stock peers refuse messages past 4 MiB, but long before that they get slow:
 * a receiver puts a message together from packets of 16 - 64 KiB, and most copy what they have at each.
 */
export const MAX_BLOB_PIECE = 256 * 1024;

/**
 * The outboard is not checked against a digest.
 *
 * @throws StoreError `invalid` for a digest or size that can't be one, and for a broken outboard
 */
export function blobStatFromMessage({ chunks, bao }: BlobStatMessage): BlobStat {
  // Other servers may fill this field by another encoding, which is none to us.
  const outboard = bao[0] === OUTBOARD_VERSION ? decodeOutboard(bao) : undefined;
  return { chunks: chunksFromMessage(chunks), outboard };
}

export function blobStatToMessage({ chunks, outboard }: BlobStat): BlobStatMessage {
  return { chunks: chunksToMessage(chunks), bao: outboard ? encodeOutboard(outboard) : EMPTY_BYTES };
}

/** @throws StoreError `invalid` for a digest or size that can't be one */
export function chunksFromMessage(messages: readonly ChunkMessage[]): ChunkMeta[] {
  let total = 0n;
  return messages.map((chunk) => {
    total += chunk.size;
    if (chunk.size === 0n || total > BigInt(Number.MAX_SAFE_INTEGER))
      throw new StoreError("invalid", `size ${chunk.size} of a chunk is out of range`);
    return { digest: asDigest(chunk.digest, "digest of a chunk"), size: Number(chunk.size) };
  });
}

export function chunksToMessage(chunks: readonly ChunkMeta[]): ChunkMessage[] {
  return chunks.map(({ digest, size }) => ({ digest, size: BigInt(size) }));
}

/** `bytes` in views of at most `size`; none for no bytes. */
export function* cutBlobPieces(bytes: Uint8Array, size: number = MAX_BLOB_PIECE): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
