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
import { answer, answerStream } from "./answer.ts";
import { wholeRequest } from "./whole-request.ts";

interface GetRequest {
  byWhat: { case: "digest"; value: Uint8Array } | { case: undefined; value?: undefined };
  recursive: boolean;
}

/** `DirectoryService` of tvix and of snix. Which sizes a tree has is its sender's choice: what comes in is stored as it is. */
export function directoryHandlers(directories: DirectoryService) {
  return {
    get: answerStream(async function* ({ byWhat, recursive }: GetRequest, { signal }) {
      if (byWhat.case === undefined) throw new StoreError("invalid", "the request does not say which directory");
      const digest = asDigest(byWhat.value, "directory digest");
      const found = recursive
        ? await directories.getClosure(digest, { signal })
        : await directories.get(digest, { signal }).then((directory) => directory && [directory]);
      if (!found) throw new StoreError("not-found", `directory ${formatDigest(digest)} is not in the store`);
      for await (const directory of found) {
        // It may have come another way than by `put` below. Peers would call it a broken answer; this says what is wrong.
        checkDirectoryMessageSize(directory);
        yield directoryToMessage(directory);
      }
    }),

    put: answer(async (request: AsyncIterable<Received<DirectoryMessage>>, { signal }) => ({
      rootDigest: await directories.put(readDirectories(request, signal), { signal }),
    })),
  };
}

async function* readDirectories(
  request: AsyncIterable<Received<DirectoryMessage>>,
  signal: AbortSignal,
): AsyncGenerator<Directory> {
  for await (const message of wholeRequest(request, signal)) {
    const directory = directoryFromMessage(message);
    // Over JSON more fits through, but gRPC peers could not have it back.
    checkDirectoryMessageSize(directory);
    yield directory;
  }
}
