import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { concatBytes } from "../../bytes.ts";
import type { BlobService, BlobWriter } from "../../castore/blob-service.ts";
import { asDigest, type Digest, formatDigest } from "../../castore/digest.ts";
import { StoreError } from "../../error.ts";
import { encodeSlice } from "../../hash/slice-encoder.ts";
import { type BlobStatMessage, blobStatToMessage, cutBlobPieces } from "../../wire/blob-message.ts";
import { DOWNLOAD_MEMORY, reserveMemory, UPLOAD_MEMORY } from "../transfer.ts";
import { answer, answerStream } from "./answer.ts";
import { wholeRequest } from "./whole-request.ts";

/**
 * Minimum size of a message, except the last one, in bytes. Smaller pieces are joined, because each
 * message has a cost and a store may yield very small pieces.
 */
const MIN_PIECE = 128 * 1024;

/**
 * Maximum size of a message, in bytes. It is the maximum size of a chunk, so each chunk is sent
 * whole.
 */
const MAX_PIECE = 512 * 1024;

/** Maximum size of a blob that is stored without a writer, in bytes. */
const MAX_GATHERED = 128 * 1024;

/**
 * Maximum number of chunks in an answer: 4 MiB with 40 bytes for each chunk. Stock peers would
 * refuse a longer list. The answer then lists no chunks, as if the store had none.
 */
const MAX_CHUNKS_TOLD = 100_000;

/**
 * Maximum size of an outboard's nodes in an answer, in bytes: enough for 16 GiB of content. Clients
 * read a longer blob by slices.
 */
const MAX_NODES_TOLD = 1024 * 1024;

interface StatRequest {
  digest: Uint8Array;
  sendChunks: boolean;
  sendBao: boolean;
}

/** Handlers of tvix's and snix's `BlobService`. */
export function blobHandlers(blobs: BlobService) {
  return {
    stat: answer(async (request: StatRequest, { signal }): Promise<BlobStatMessage> => {
      const digest = asDigest(request.digest, "blob digest");
      const [stat] = await blobs.stat([digest], { outboard: request.sendBao, signal });
      if (!stat) throw missing(digest);
      const { chunks, outboard } = stat;
      return blobStatToMessage({
        chunks: request.sendChunks && chunks.length <= MAX_CHUNKS_TOLD ? chunks : [],
        outboard: outboard && outboard.nodes.length <= MAX_NODES_TOLD ? outboard : undefined,
      });
    }),

    read: answerStream(async function* (request: { digest: Uint8Array }, context) {
      const { signal } = context;
      const digest = asDigest(request.digest, "blob digest");
      await reserveMemory(DOWNLOAD_MEMORY, context);
      const content = await blobs.open(digest, { signal });
      if (!content) throw missing(digest);
      for await (const data of pieces(content)) yield { data };
    }),

    put: answer(async (request: AsyncIterable<{ data: Uint8Array }>, context) => ({
      digest: await receiveBlob(blobs, wholeRequest(request, context.signal), context),
    })),
  };
}

/**
 * Stores a blob. A blob of up to `MAX_GATHERED` bytes needs no writer, and so reserves no memory.
 */
async function receiveBlob(
  blobs: BlobService,
  messages: AsyncIterable<{ data: Uint8Array }>,
  context: HandlerContext,
): Promise<Digest> {
  const { signal } = context;
  const start: Uint8Array[] = [];
  let size = 0;
  let writer: BlobWriter | undefined;
  try {
    for await (const { data } of messages) {
      if (data.length === 0) continue;
      size += data.length;
      if (!writer && size <= MAX_GATHERED) {
        start.push(data);
        continue;
      }
      if (!writer) {
        await reserveMemory(UPLOAD_MEMORY, context);
        writer = await blobs.create({ signal });
        for (const bytes of start) await writer.write(bytes);
      }
      await writer.write(data);
    }
    if (writer) return (await writer.close()).digest;
    const [digest] = await blobs.putMany([concatBytes(start)], { signal });
    if (!digest) throw new StoreError("internal", "a blob was stored without a digest");
    return digest;
  } catch (error) {
    await writer?.abort(error);
    throw error;
  }
}

/** Handlers of `BlobSliceService`, which is specific to this daemon. */
export function blobSliceHandlers(blobs: BlobService) {
  return {
    readSlice: answerStream(async function* (request: { digest: Uint8Array; offset: bigint; length: bigint }, context) {
      const { signal } = context;
      await reserveMemory(DOWNLOAD_MEMORY, context);
      const digest = asDigest(request.digest, "blob digest");
      const [stat] = await blobs.stat([digest], { outboard: true, signal });
      if (!stat) throw missing(digest);
      const { outboard } = stat;
      // The blobs may be in a remote store that sends no outboards.
      if (!outboard) throw new ConnectError("this store has no outboard for the blob", Code.Unimplemented);
      const read = async function* (offset: number, length: number): AsyncGenerator<Uint8Array> {
        const content = await blobs.open(digest, { offset, length, signal });
        if (!content) throw missing(digest);
        yield* content;
      };
      const range = { offset: toNumber(request.offset), length: toNumber(request.length) };
      for await (const data of encodeSlice({ root: digest, outboard, read }, range)) yield { data };
    }),
  };
}

/** Converts an offset or length, and caps it at the largest safe integer: no blob is that long. */
function toNumber(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function missing(digest: Digest): StoreError {
  return new StoreError("not-found", `blob ${formatDigest(digest)} is not in the store`);
}

async function* pieces(content: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let waiting: Uint8Array[] = [];
  let size = 0;
  for await (const bytes of content) {
    waiting.push(bytes);
    size += bytes.length;
    if (size < MIN_PIECE) continue;
    yield* cutBlobPieces(waiting.length === 1 ? bytes : concatBytes(waiting), MAX_PIECE);
    waiting = [];
    size = 0;
  }
  if (size > 0) yield* cutBlobPieces(concatBytes(waiting), MAX_PIECE);
}
