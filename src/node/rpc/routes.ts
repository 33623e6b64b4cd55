import type { ConnectRouter } from "@connectrpc/connect";
import { DerivedDirectories } from "../../store/derived-directories.ts";
import type { StoreServices } from "../../store/services.ts";
import { TreesByRule } from "../../store/trees-by-rule.ts";
import { Health } from "../../wire/gen/grpc/health/v1/health_pb.ts";
import { ServerReflection, type ServerReflectionRequest } from "../../wire/gen/grpc/reflection/v1/reflection_pb.ts";
import {
  ServerReflection as ServerReflectionAlpha,
  type ServerReflectionRequest as ServerReflectionRequestAlpha,
} from "../../wire/gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { BlobService as SnixBlobService } from "../../wire/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService as SnixDirectoryService } from "../../wire/gen/snix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService as SnixPathInfoService } from "../../wire/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { BlobService } from "../../wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "../../wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService } from "../../wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { BlobSliceService } from "../../wire/gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { CapabilityService } from "../../wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";
import { pathInfoToSnix, pathInfoToTvix } from "../../wire/path-info-message.ts";
import { blobHandlers, blobSliceHandlers } from "./blob-handlers.ts";
import { capabilityHandlers } from "./capability-handlers.ts";
import { directoryHandlers } from "./directory-handlers.ts";
import { healthHandlers } from "./health.ts";
import { type PathInfoHandlerOptions, pathInfoHandlers } from "./path-info-handlers.ts";
import { reflectionHandlers } from "./reflection.ts";

/** Mounts services on a router. `closing` is aborted when the server begins to shut down. */
export type Routes = (router: ConnectRouter, closing: AbortSignal) => void;

const SERVICES = [
  BlobService,
  DirectoryService,
  PathInfoService,
  SnixBlobService,
  SnixDirectoryService,
  SnixPathInfoService,
  BlobSliceService,
  CapabilityService,
  Health,
  ServerReflection,
  ServerReflectionAlpha,
];

/**
 * Makes the JSON reader refuse unknown fields, which are refused in the binary format too. In a
 * Directory or a node, ignoring one would change the digest. The JSON reader can't distinguish a
 * PathInfo from the node in it, so these calls refuse unknown fields everywhere. Other calls ignore
 * them.
 */
const STRICT_JSON = { jsonOptions: { ignoreUnknownFields: false } };

export interface RpcOptions extends PathInfoHandlerOptions {
  /**
   * Directories of the store, and trees that the server encodes anew for snix's clients, with
   * doubled sizes. The option `calculateNar` must read from `derived` too, so that these clients
   * can ask for the NAR of such a tree.
   */
  derived?: DerivedDirectories | undefined;
}

/** Mounts the services of `stored` under tvix's and snix's names, with health and reflection. */
export function rpcRoutes(stored: StoreServices, options: RpcOptions): Routes {
  const derived = options.derived ?? new DerivedDirectories(stored.directories);
  const store: StoreServices = { blobs: stored.blobs, directories: derived, pathInfos: stored.pathInfos };
  return (router, closing) => {
    const blobs = blobHandlers(store.blobs);
    const directories = directoryHandlers(store.directories);
    const pathInfos = pathInfoHandlers(store, options, async (info) => pathInfoToTvix(info));
    // Stock clients with snix's names only know doubled sizes.
    const trees = new TreesByRule(store, derived, "doubled");
    const snixPathInfos = pathInfoHandlers(store, options, async (info, signal) =>
      pathInfoToSnix({ ...info, node: await trees.node(info.node, { signal }) }),
    );
    router
      .service(BlobService, blobs)
      .service(SnixBlobService, blobs)
      .service(BlobSliceService, blobSliceHandlers(store.blobs))
      .service(CapabilityService, capabilityHandlers(store.directories))
      .service(DirectoryService, directories, STRICT_JSON)
      .service(SnixDirectoryService, directories, STRICT_JSON)
      .rpc(PathInfoService.method.get, pathInfos.get)
      .rpc(PathInfoService.method.put, pathInfos.put, STRICT_JSON)
      .rpc(PathInfoService.method.calculateNAR, pathInfos.calculateNAR, STRICT_JSON)
      .rpc(PathInfoService.method.list, pathInfos.list)
      .rpc(SnixPathInfoService.method.get, snixPathInfos.get)
      .rpc(SnixPathInfoService.method.put, snixPathInfos.put, STRICT_JSON)
      .rpc(SnixPathInfoService.method.calculateNAR, snixPathInfos.calculateNAR, STRICT_JSON)
      .rpc(SnixPathInfoService.method.list, snixPathInfos.list)
      .service(Health, healthHandlers(SERVICES, closing))
      .service(ServerReflection, reflectionHandlers<ServerReflectionRequest>(SERVICES))
      .service(ServerReflectionAlpha, reflectionHandlers<ServerReflectionRequestAlpha>(SERVICES));
  };
}
