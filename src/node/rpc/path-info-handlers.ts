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
import { answer, answerStream } from "./answer.ts";
import { checkFileSizes } from "./file-sizes.ts";

/** Size and hash of the NAR of `node`. @throws StoreError `not-found` where content is missing */
export type CalculateNar = (node: Node, options?: { signal?: AbortSignal | undefined }) => Promise<NarFacts>;

export interface PathInfoHandlerOptions {
  calculateNar: CalculateNar;
  /** Checks content addresses; in this thread by default. */
  engine?: HashEngine | undefined;
}

interface GetRequest {
  byWhat: { case: "byOutputHash"; value: Uint8Array } | { case: undefined; value?: undefined };
}

/**
 * `PathInfoService` of tvix and of snix.
 *
 * @param toMessage the message of the family for a PathInfo
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
      // Known from the directories alone, a few of which can make up a NAR that nobody would live to see the end of.
      if (claimedSize !== undefined) {
        const size = await narSize(store, node, { signal });
        if (size !== claimedSize)
          throw new StoreError("invalid", `the content makes a NAR of ${size} bytes, not of ${claimedSize}`);
      }
      return await options.calculateNar(node, { signal }).catch(async (error: unknown) => {
        // Only now, when something is wrong anyway, because every file is read for it.
        if (isStoreError(error, "corrupt")) await checkFileSizes(store, node, signal);
        throw error;
      });
    } catch (error) {
      // Not what was asked for is missing, but what it takes to answer.
      if (!isStoreError(error, "not-found")) throw error;
      throw new ConnectError(error.message, Code.FailedPrecondition, undefined, undefined, error);
    }
  };

  const checkClaimedAddress = async (info: PathInfo, signal: AbortSignal): Promise<void> => {
    try {
      await checkContentAddress(store, engine, info, { signal });
    } catch (error) {
      // The content was just read whole, and is what its digest says: it is the address that is wrong.
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
      if (byWhat.case === undefined) throw new StoreError("invalid", "the request does not say which store path");
      const hashPart = hashPartFromBytes(byWhat.value);
      const info = await store.pathInfos.get(hashPart, { signal });
      if (!info) throw new StoreError("not-found", `store path ${hashPart} is not in the store`);
      return toMessage(info, signal);
    }),

    put: answer(async (request: PathInfoMessage, { signal }): Promise<Message> => {
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

    calculateNAR: answer(async (request: NodeMessage, { signal }) =>
      // tvix wants a name here, snix wants none; it says nothing about the NAR.
      narFactsToMessage(await calculate(nodeFromMessage(request, { unnamed: true }).node, signal)),
    ),

    list: answerStream(async function* (_request: unknown, { signal }): AsyncGenerator<Message> {
      for await (const info of store.pathInfos.list({ signal })) yield await toMessage(info, signal);
    }),
  };
}

/** A root's size is checked by nobody else: it is in no directory, and the NAR does not depend on it. */
async function checkRootSize(store: StoreServices, node: Node, signal: AbortSignal): Promise<void> {
  if (node.kind !== "directory") return;
  const directory = await store.directories.get(node.digest, { signal });
  // Missing content is reported by whoever reads it all.
  if (!directory || sizeRulesOf(directory, node.size).length > 0) return;
  throw new StoreError("invalid", `the root directory does not have the size ${node.size}`);
}
