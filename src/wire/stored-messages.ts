import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { EMPTY_BYTES, equalBytes } from "../bytes.ts";
import type { BlobEntry } from "../castore/chunk-store.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import { chunksFromMessage, chunksToMessage } from "./blob-message.ts";
import { StatBlobResponseSchema } from "./gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { PathInfoSchema } from "./gen/tvix/store/v1/pathinfo_pb.ts";
import { pathInfoFromMessage, pathInfoToTvix } from "./path-info-message.ts";

/** Encoding of tvix's messages for storage on disk. */

/**
 * Encodes the chunks of `blob` and its outboard as a StatBlobResponse. Returns no bytes if the blob
 * is a single chunk.
 */
export function encodeBlobEntry(blob: Digest, { chunks, bao }: BlobEntry): Uint8Array {
  const [first] = chunks;
  if (chunks.length === 1 && first && equalBytes(first.digest, blob)) return EMPTY_BYTES;
  const message = { chunks: chunksToMessage(chunks), bao: bao ?? EMPTY_BYTES };
  return toBinary(StatBlobResponseSchema, create(StatBlobResponseSchema, message));
}

/** @throws StoreError `corrupt` */
export function decodeBlobEntry(blob: Digest, bytes: Uint8Array): BlobEntry {
  try {
    const { chunks, bao } = fromBinary(StatBlobResponseSchema, bytes);
    return { chunks: chunksFromMessage(chunks), bao: bao.length > 0 ? bao : undefined };
  } catch (error) {
    throw corrupt(`chunk list of blob ${formatDigest(blob)}`, error);
  }
}

export function encodePathInfo(info: PathInfo): Uint8Array {
  return toBinary(PathInfoSchema, pathInfoToTvix(info));
}

/** @throws StoreError `corrupt` */
export async function decodePathInfo(hashPart: string, bytes: Uint8Array): Promise<PathInfo> {
  const what = `path info of ${hashPart}`;
  const gap = async (): Promise<never> => {
    throw new StoreError("invalid", "it has no narinfo");
  };
  try {
    return await pathInfoFromMessage(fromBinary(PathInfoSchema, bytes), { calculateNar: gap, referenceName: gap });
  } catch (error) {
    throw corrupt(what, error);
  }
}

function corrupt(what: string, cause: unknown): StoreError {
  return new StoreError("corrupt", `stored ${what} can't be read: ${cause instanceof Error ? cause.message : String(cause)}`, {
    cause,
  });
}
