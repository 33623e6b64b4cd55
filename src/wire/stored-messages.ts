import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { equalBytes } from "../bytes.ts";
import type { ChunkMeta } from "../castore/blob-service.ts";
import { type Digest, formatDigest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { PathInfo } from "../store/path-info.ts";
import { blobStatFromMessage, blobStatToMessage } from "./blob-message.ts";
import { StatBlobResponseSchema } from "./gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { PathInfoSchema } from "./gen/tvix/store/v1/pathinfo_pb.ts";
import { pathInfoFromMessage, pathInfoToTvix } from "./path-info-message.ts";

/** tvix's messages as they lie on the disk. */

/** The chunks of `blob` as a StatBlobResponse; none where the blob is one chunk. */
export function encodeChunkList(blob: Digest, chunks: readonly ChunkMeta[]): Uint8Array {
  const single = chunks.length === 1 && equalBytes((chunks[0] as ChunkMeta).digest, blob);
  return toBinary(StatBlobResponseSchema, create(StatBlobResponseSchema, blobStatToMessage({ chunks: single ? [] : chunks })));
}

/** @throws StoreError `corrupt` */
export function decodeChunkList(blob: Digest, bytes: Uint8Array): readonly ChunkMeta[] {
  try {
    return blobStatFromMessage(fromBinary(StatBlobResponseSchema, bytes)).chunks;
  } catch (error) {
    throw corrupt(`chunk list of blob ${formatDigest(blob)}`, error);
  }
}

export function encodePathInfo(info: PathInfo): Uint8Array {
  return toBinary(PathInfoSchema, create(PathInfoSchema, pathInfoToTvix(info)));
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
