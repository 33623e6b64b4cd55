import { Code, ConnectError } from "@connectrpc/connect";
import { sizeRulesOf } from "../../castore/directory.ts";
import type { Node } from "../../castore/node.ts";
import { isStoreError, StoreError } from "../../error.ts";
import type { HashEngine } from "../../hash/engine.ts";
import { InlineHashEngine } from "../../hash/inline-engine.ts";
import { parseStorePath, storePathBaseName } from "../../nix/store-path.ts";
import { checkContentAddress } from "../../store/content-address-check.ts";
import { narSize } from "../../store/nar.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { StoreServices } from "../../store/services.ts";
import { type NodeMessage, nodeFromMessage } from "../../wire/node-message.ts";
import {
  hashPartFromBytes,
  type NarFacts,
  narFactsToMessage,
  type PathInfoMessage,
  pathInfoFromMessage,
} from "../../wire/path-info-message.ts";
import { DOWNLOAD_MEMORY, reserveMemory } from "../transfer.ts";
import { answer, answerStream } from "./answer.ts";
import { checkFileSizes } from "./file-sizes.ts";

/**
 * Calculates size and hash of the NAR of `node`.
 *
 * @throws StoreError `not-found` if content is missing
 */
export type CalculateNar = (node: Node, options?: { signal?: AbortSignal | undefined }) => Promise<NarFacts>;

export interface PathInfoHandlerOptions {
  calculateNar: CalculateNar;
  /** Engine that checks content addresses; by default in this thread. */
  engine?: HashEngine | undefined;
}

interface GetRequest {
  byWhat: { case: "byOutputHash"; value: Uint8Array } | { case: undefined; value?: undefined };
}

/**
 * Handlers of tvix's or snix's `PathInfoService`.
 *
 * @param toMessage converts a PathInfo to the message of that family
 */
export function pathInfoHandlers<Message>(
  store: StoreServices,
  options: PathInfoHandlerOptions,
  toMessage: (info: PathInfo, signal: AbortSignal) => Promise<Message>,
) {
  const engine = options.engine ?? new InlineHashEngine();

  const calculate = async (node: Node, signal: AbortSignal, claimedSize?: number): Promise<NarFacts> => {
    try {
      await checkRootSize(store, node, signal);
      // The size follows from the directories alone. Check it first: a few directories can describe
      // a NAR that would take years to render.
      if (claimedSize !== undefined) {
        const size = await narSize(store, node, { signal });
        if (size !== claimedSize) throw new StoreError("invalid", `the NAR of the content has ${size} bytes, not ${claimedSize}`);
      }
      return await options.calculateNar(node, { signal }).catch(async (error: unknown) => {
        // This reads every file, so it only runs after a failure.
        if (isStoreError(error, "corrupt")) await checkFileSizes(store, node, signal);
        throw error;
      });
    } catch (error) {
      // `not-found` would mean that the requested object is missing. Here, content that it needs is
      // missing.
      if (!isStoreError(error, "not-found")) throw error;
      throw new ConnectError(error.message, Code.FailedPrecondition, undefined, undefined, error);
    }
  };

  const checkClaimedAddress = async (info: PathInfo, signal: AbortSignal): Promise<void> => {
    try {
      await checkContentAddress(store, engine, info, { signal });
    } catch (error) {
      // The content was just read and matches its digests, so the claimed address is wrong.
      if (!isStoreError(error, "corrupt")) throw error;
      throw new StoreError("invalid", error.message, { cause: error });
    }
  };

  const referenceName = async (hashPart: string, signal: AbortSignal): Promise<string | undefined> => {
    const info = await store.pathInfos.get(hashPart, { signal });
    return info && storePathBaseName(parseStorePath(info.storePath));
  };

  return {
    get: answer(async ({ byWhat }: GetRequest, { signal }): Promise<Message> => {
      if (byWhat.case === undefined) throw new StoreError("invalid", "the request has no hash of a store path");
      const hashPart = hashPartFromBytes(byWhat.value);
      const info = await store.pathInfos.get(hashPart, { signal });
      if (!info) throw new StoreError("not-found", `store path ${hashPart} is not in the store`);
      return toMessage(info, signal);
    }),

    put: answer(async (request: PathInfoMessage, context): Promise<Message> => {
      const { signal } = context;
      await reserveMemory(DOWNLOAD_MEMORY, context);
      let calculated: NarFacts | undefined;
      const info = await pathInfoFromMessage(request, {
        calculateNar: async (node) => {
          calculated = await calculate(node, signal);
          return calculated;
        },
        referenceName: (hashPart) => referenceName(hashPart, signal),
      });
      calculated ??= await calculate(info.node, signal, info.narSize);
      if (calculated.narSize !== info.narSize || calculated.narHash !== info.narHash) {
        throw new StoreError(
          "invalid",
          `the content of ${info.storePath} has the NAR hash ${calculated.narHash} (${calculated.narSize} bytes), not ${info.narHash} (${info.narSize} bytes)`,
        );
      }
      await checkClaimedAddress(info, signal);
      return toMessage(await store.pathInfos.put(info, { signal }), signal);
    }),

    calculateNAR: answer(async (request: NodeMessage, context) => {
      await reserveMemory(DOWNLOAD_MEMORY, context);
      // tvix sends a name here, snix doesn't. The NAR doesn't depend on it.
      return narFactsToMessage(await calculate(nodeFromMessage(request, { unnamed: true }).node, context.signal));
    }),

    list: answerStream(async function* (_request: unknown, { signal }): AsyncGenerator<Message> {
      for await (const info of store.pathInfos.list({ signal })) yield await toMessage(info, signal);
    }),
  };
}

/**
 * Checks the size of a root directory. Nothing else checks it: no directory contains the root, and
 * the NAR doesn't depend on this size.
 */
async function checkRootSize(store: StoreServices, node: Node, signal: AbortSignal): Promise<void> {
  if (node.kind !== "directory") return;
  const directory = await store.directories.get(node.digest, { signal });
  // The code that reads the whole tree reports missing content.
  if (!directory || sizeRulesOf(directory, node.size).length > 0) return;
  throw new StoreError("invalid", `the root directory does not have the size ${node.size}`);
}
