import type { ConnectRouter } from "@connectrpc/connect";
import type { StoreServices } from "../../store/services.ts";
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
import { pathInfoToSnix, pathInfoToTvix } from "../../wire/path-info-message.ts";
import { blobHandlers } from "./blob-handlers.ts";
import { directoryHandlers } from "./directory-handlers.ts";
import { healthHandlers } from "./health.ts";
import { type PathInfoHandlerOptions, pathInfoHandlers } from "./path-info-handlers.ts";
import { reflectionHandlers } from "./reflection.ts";

/** What a server mounts. `closing` is aborted when it begins to shut down. */
export type Routes = (router: ConnectRouter, closing: AbortSignal) => void;

const SERVICES = [
  BlobService,
  DirectoryService,
  PathInfoService,
  SnixBlobService,
  SnixDirectoryService,
  SnixPathInfoService,
  Health,
  ServerReflection,
  ServerReflectionAlpha,
];

/** Unknown fields of a Directory are refused, in JSON too: its digest could not be kept. Elsewhere they are ignored. */
const STRICT_JSON = { jsonOptions: { ignoreUnknownFields: false } };

/** `store` under tvix's and snix's names, with health and reflection. */
export function rpcRoutes(store: StoreServices, options: PathInfoHandlerOptions): Routes {
  return (router, closing) => {
    const blobs = blobHandlers(store.blobs);
    const directories = directoryHandlers(store.directories);
    router
      .service(BlobService, blobs)
      .service(SnixBlobService, blobs)
      .service(DirectoryService, directories, STRICT_JSON)
      .service(SnixDirectoryService, directories, STRICT_JSON)
      .service(PathInfoService, pathInfoHandlers(store, options, pathInfoToTvix))
      .service(SnixPathInfoService, pathInfoHandlers(store, options, pathInfoToSnix))
      .service(Health, healthHandlers(SERVICES, closing))
      .service(ServerReflection, reflectionHandlers<ServerReflectionRequest>(SERVICES))
      .service(ServerReflectionAlpha, reflectionHandlers<ServerReflectionRequestAlpha>(SERVICES));
  };
}
