import { asDigest, formatDigest } from "../../castore/digest.ts";
import type { Directory } from "../../castore/directory.ts";
import type { DirectoryService } from "../../castore/directory-service.ts";
import { StoreError } from "../../error.ts";
import {
  checkDirectoryMessageSize,
  type DirectoryMessage,
  directoryFromMessage,
  directoryToMessage,
} from "../../wire/directory-message.ts";
import type { Received } from "../../wire/node-message.ts";
import { DOWNLOAD_MEMORY, reserveMemory, UPLOAD_MEMORY } from "../transfer.ts";
import { answer, answerStream } from "./answer.ts";
import { wholeRequest } from "./whole-request.ts";

interface GetRequest {
  byWhat: { case: "digest"; value: Uint8Array } | { case: undefined; value?: undefined };
  recursive: boolean;
}

/**
 * Handlers of tvix's and snix's `DirectoryService`. The sender chooses the size rule of a tree, so
 * directories are stored unchanged.
 */
export function directoryHandlers(directories: DirectoryService) {
  return {
    get: answerStream(async function* ({ byWhat, recursive }: GetRequest, context) {
      const { signal } = context;
      if (byWhat.case === undefined) throw new StoreError("invalid", "the request has no directory digest");
      const digest = asDigest(byWhat.value, "directory digest");
      if (recursive) await reserveMemory(DOWNLOAD_MEMORY, context);
      const found = recursive
        ? await directories.getClosure(digest, { signal })
        : await directories.get(digest, { signal }).then((directory) => directory && [directory]);
      if (!found) throw new StoreError("not-found", `directory ${formatDigest(digest)} is not in the store`);
      for await (const directory of found) {
        // The directory may not have come through `put` below, so it may be too large. Without this
        // check, peers would report a broken answer instead of the reason.
        checkDirectoryMessageSize(directory);
        yield directoryToMessage(directory);
      }
    }),

    put: answer(async (request: AsyncIterable<Received<DirectoryMessage>>, context) => {
      const { signal } = context;
      await reserveMemory(UPLOAD_MEMORY, context);
      return { rootDigest: await directories.put(readDirectories(request, signal), { signal }) };
    }),
  };
}

async function* readDirectories(
  request: AsyncIterable<Received<DirectoryMessage>>,
  signal: AbortSignal,
): AsyncGenerator<Directory> {
  for await (const message of wholeRequest(request, signal)) {
    const directory = directoryFromMessage(message);
    // A JSON request may hold a larger directory, but gRPC clients couldn't read it back.
    checkDirectoryMessageSize(directory);
    yield directory;
  }
}
