import { EMPTY_BYTES } from "../bytes.ts";
import type { BlobStat, ChunkMeta } from "../castore/blob-service.ts";
import { asDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import { decodeOutboard, encodeOutboard, OUTBOARD_VERSION } from "../hash/outboard.ts";

/** Common form of the `StatBlobResponse` of tvix and of snix. */
export interface BlobStatMessage {
  chunks: ChunkMessage[];
  bao: Uint8Array;
}

interface ChunkMessage {
  digest: Uint8Array;
  size: bigint;
}

/**
 * Maximum number of bytes of a blob in one message. Stock peers refuse messages above 4 MiB, but
 * get slow long before: a receiver assembles a message from packets of 16 to 64 KiB, and most
 * receivers copy the part that they have at each packet.
 */
export const MAX_BLOB_PIECE = 256 * 1024;

/**
 * Reads a StatBlobResponse. Does not check the outboard against a digest.
 *
 * @throws StoreError `invalid` for an impossible digest or size, and for a broken outboard
 */
export function blobStatFromMessage({ chunks, bao }: BlobStatMessage): BlobStat {
  // Other servers may use another encoding in this field. It then counts as no outboard.
  const outboard = bao[0] === OUTBOARD_VERSION ? decodeOutboard(bao) : undefined;
  return { chunks: chunksFromMessage(chunks), outboard };
}

export function blobStatToMessage({ chunks, outboard }: BlobStat): BlobStatMessage {
  return { chunks: chunksToMessage(chunks), bao: outboard ? encodeOutboard(outboard) : EMPTY_BYTES };
}

/** @throws StoreError `invalid` for an impossible digest or size */
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

/** Cuts `bytes` into views of at most `size` bytes. Empty `bytes` give no view. */
export function* cutBlobPieces(bytes: Uint8Array, size: number = MAX_BLOB_PIECE): Generator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size);
}
