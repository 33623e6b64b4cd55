import { type CallOptions, Code, createClient, type Transport } from "@connectrpc/connect";
import type { BlobStat } from "../castore/blob-service.ts";
import type { Digest } from "../castore/digest.ts";
import type { Directory } from "../castore/directory.ts";
import type { Node } from "../castore/node.ts";
import type { PathInfo } from "../store/path-info.ts";
import { type BlobStatMessage, blobStatFromMessage } from "./blob-message.ts";
import { type Capabilities, type CapabilitiesMessage, capabilitiesFromMessage } from "./capabilities-message.ts";
import { type DirectoryMessage, directoryFromMessage, directoryToMessage } from "./directory-message.ts";
import type { WireFamily } from "./family.ts";
import { BlobService as SnixBlobService } from "./gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService as SnixDirectoryService } from "./gen/snix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService as SnixPathInfoService } from "./gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { BlobService } from "./gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "./gen/tvix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService } from "./gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { BlobSliceService } from "./gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { CapabilityService } from "./gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";
import { nodeToOneof, type Received } from "./node-message.ts";
import {
  baseNameFromMessage,
  hashPartToBytes,
  type NarFacts,
  narFactsFromMessage,
  type PathInfoGaps,
  type PathInfoMessage,
  pathInfoFromMessage,
  pathInfoToSnix,
  pathInfoToTvix,
} from "./path-info-message.ts";
import { isStatus } from "./status.ts";

/**
 * The calls of the three services, in terms of the model. Each method makes one call and does not
 * retry. It fails with the library's `ConnectError`, or with `invalid` for an answer that breaks a
 * rule. The client does not verify digests; its caller must.
 *
 * A caller that does not read a stream to its end must abort `signal`, because leaving the
 * iteration does not end the call.
 */
export interface StoreClient {
  readonly family: WireFamily;
  /** @param outboard whether to ask for the outboard too */
  statBlob(digest: Digest, outboard: boolean, signal?: AbortSignal): Promise<BlobStat>;
  /**
   * Reads a slice in pieces; the range is in bytes. Only servers with this extension support it.
   */
  readSlice(digest: Digest, range: { offset: number; length: number }, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  readBlob(digest: Digest, signal?: AbortSignal): AsyncIterable<Uint8Array>;
  /**
   * Sends each piece as one message. A piece is no longer used when the next one is requested.
   * Returns the digest that the server answers.
   */
  putBlob(pieces: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<Uint8Array>;
  getDirectory(digest: Digest, recursive: boolean, signal?: AbortSignal): AsyncIterable<Directory>;
  /** Returns the digest of the root that the server answers. */
  putDirectories(directories: AsyncIterable<Directory>, signal?: AbortSignal): Promise<Uint8Array>;
  /** Fills gaps in the answer by further calls. */
  getPathInfo(hashPart: string, signal?: AbortSignal): Promise<PathInfo>;
  putPathInfo(info: PathInfo, signal?: AbortSignal): Promise<PathInfo>;
  listPathInfos(signal?: AbortSignal): AsyncIterable<PathInfo>;
  calculateNar(node: Node, signal?: AbortSignal): Promise<NarFacts>;
  /**
   * Asks for the server's abilities beyond the protocol. Only servers with this extension support
   * it.
   */
  capabilities(signal?: AbortSignal): Promise<Capabilities>;
}

/** Creates a client of the services under the names of one family. */
export function createStoreClient(transport: Transport, family: WireFamily): StoreClient {
  const extensions = {
    slices: createClient(BlobSliceService, transport),
    capabilities: createClient(CapabilityService, transport),
  };
  if (family === "snix") {
    const pathInfos = createClient(SnixPathInfoService, transport);
    const castore = { blobs: createClient(SnixBlobService, transport), directories: createClient(SnixDirectoryService, transport) };
    return storeClient(family, castore, extensions, {
      get: pathInfos.get,
      list: pathInfos.list,
      put: (info, options) => pathInfos.put(pathInfoToSnix(info), options),
      calculate: (node, options) => pathInfos.calculateNAR({ entry: nodeToOneof(node) }, options),
    });
  }
  const pathInfos = createClient(PathInfoService, transport);
  const castore = { blobs: createClient(BlobService, transport), directories: createClient(DirectoryService, transport) };
  return storeClient(family, castore, extensions, {
    get: pathInfos.get,
    list: pathInfos.list,
    put: (info, options) => pathInfos.put(pathInfoToTvix(info), options),
    calculate: async (node, options) => {
      try {
        return await pathInfos.calculateNAR({ node: nodeToOneof(node, NAME_WITHOUT_MEANING) }, options);
      } catch (error) {
        // tvix's first version requires a name here; later versions refuse one.
        if (!isStatus(error, Code.InvalidArgument)) throw error;
        return pathInfos.calculateNAR({ node: nodeToOneof(node) }, options);
      }
    },
  });
}

const NAME_WITHOUT_MEANING = new TextEncoder().encode("root");

/** Calls that the generated clients of both families share. */
interface BlobCalls {
  stat(request: { digest: Uint8Array; sendChunks: boolean; sendBao: boolean }, options?: CallOptions): Promise<BlobStatMessage>;
  read(request: { digest: Uint8Array }, options?: CallOptions): AsyncIterable<{ data: Uint8Array }>;
  put(request: AsyncIterable<{ data: Uint8Array }>, options?: CallOptions): Promise<{ digest: Uint8Array }>;
}

interface ExtensionCalls {
  slices: {
    readSlice(
      request: { digest: Uint8Array; offset: bigint; length: bigint },
      options?: CallOptions,
    ): AsyncIterable<{ data: Uint8Array }>;
  };
  capabilities: { get(request: object, options?: CallOptions): Promise<CapabilitiesMessage> };
}

interface DirectoryCalls {
  get(
    request: { byWhat: { case: "digest"; value: Uint8Array }; recursive: boolean },
    options?: CallOptions,
  ): AsyncIterable<Received<DirectoryMessage>>;
  put(request: AsyncIterable<DirectoryMessage>, options?: CallOptions): Promise<{ rootDigest: Uint8Array }>;
}

interface PathInfoCalls {
  get(request: { byWhat: { case: "byOutputHash"; value: Uint8Array } }, options?: CallOptions): Promise<PathInfoMessage>;
  put(info: PathInfo, options?: CallOptions): Promise<PathInfoMessage>;
  list(request: object, options?: CallOptions): AsyncIterable<PathInfoMessage>;
  calculate(node: Node, options?: CallOptions): Promise<{ narSize: bigint; narSha256: Uint8Array }>;
}

function storeClient(
  family: WireFamily,
  { blobs, directories }: { blobs: BlobCalls; directories: DirectoryCalls },
  { slices, capabilities }: ExtensionCalls,
  pathInfos: PathInfoCalls,
): StoreClient {
  const client: StoreClient = {
    family,
    statBlob: async (digest, outboard, signal) =>
      blobStatFromMessage(await blobs.stat({ digest, sendChunks: true, sendBao: outboard }, callOptions(signal))),
    readSlice: (digest, { offset, length }, signal) => {
      const request = { digest, offset: BigInt(offset), length: BigInt(Math.min(length, Number.MAX_SAFE_INTEGER)) };
      return map(slices.readSlice(request, callOptions(signal)), (message) => message.data);
    },
    readBlob: (digest, signal) => map(blobs.read({ digest }, callOptions(signal)), (message) => message.data),
    putBlob: async (pieces, signal) => {
      const { digest } = await blobs.put(
        map(pieces, (data) => ({ data })),
        callOptions(signal),
      );
      return digest;
    },
    getDirectory: (digest, recursive, signal) =>
      map(directories.get({ byWhat: { case: "digest", value: digest }, recursive }, callOptions(signal)), directoryFromMessage),
    putDirectories: async (stream, signal) =>
      (await directories.put(map(stream, directoryToMessage), callOptions(signal))).rootDigest,
    getPathInfo: async (hashPart, signal) =>
      pathInfoFromMessage(await pathInfos.get(byHashPart(hashPart), callOptions(signal)), gaps(signal)),
    putPathInfo: async (info, signal) => pathInfoFromMessage(await pathInfos.put(info, callOptions(signal)), gaps(signal)),
    listPathInfos: (signal) =>
      map(pathInfos.list({}, callOptions(signal)), (message) => pathInfoFromMessage(message, gaps(signal))),
    calculateNar: async (node, signal) => narFactsFromMessage(await pathInfos.calculate(node, callOptions(signal))),
    capabilities: async (signal) => capabilitiesFromMessage(await capabilities.get({}, callOptions(signal))),
  };
  const gaps = (signal?: AbortSignal): PathInfoGaps => ({
    calculateNar: (node) => client.calculateNar(node, signal),
    referenceName: async (hashPart) => {
      try {
        return baseNameFromMessage(await pathInfos.get(byHashPart(hashPart), callOptions(signal)));
      } catch (error) {
        if (isStatus(error, Code.NotFound)) return undefined;
        throw error;
      }
    },
  });
  return client;
}

function byHashPart(hashPart: string): Parameters<PathInfoCalls["get"]>[0] {
  return { byWhat: { case: "byOutputHash", value: hashPartToBytes(hashPart) } };
}

function callOptions(signal: AbortSignal | undefined): CallOptions {
  return signal ? { signal } : {};
}

async function* map<T, U>(iterable: AsyncIterable<T>, convert: (value: T) => U | Promise<U>): AsyncGenerator<U> {
  for await (const value of iterable) yield await convert(value);
}
