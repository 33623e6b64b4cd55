/** `tvix-store-web/node`: the parts of the daemon, for programs that embed them. */

import "./brotli.ts";

export { connectCacheCastore } from "../backends/cache-castore.ts";
export { createMemoryStore } from "../backends/memory.ts";
export { type NixCacheOptions, NixCachePathInfoService } from "../backends/nix-cache.ts";
export { connectRemoteStore } from "../backends/remote.ts";
export { ChunkedBlobService } from "../castore/chunked-blobs.ts";
export { StoredDirectoryService } from "../castore/directory-store.ts";
export type { Addressing } from "../store/addressing.ts";
export { BinaryCache, type BinaryCacheOptions } from "../store/binary-cache.ts";
export { type FailedPath, FailedPathsError, type PathsReport } from "../store/failed-paths.ts";
export { importEntries, importFile, importNar } from "../store/import.ts";
export { importDerivation } from "../store/import-derivation.ts";
export { calculateNar, renderNar } from "../store/nar.ts";
export {
  type ContentAddressJson,
  type PathInfoJson,
  type PathInfoJson1,
  type PathInfoJson2,
  type PathInfoJson3,
  type PathInfoJsonFormat,
  type PathInfoJsonFrame,
  pathInfosToJson,
  type SignatureJson,
} from "../store/path-info-json.ts";
export { type SubstituteOptions, type SubstituteReport, substitutePaths } from "../store/substitute.ts";
export { copyBetweenStores } from "../store/sync.ts";
export type { TrustPolicy } from "../store/trust.ts";
export type { Timeouts } from "../timeouts.ts";

export { formatAddress, parseAddress, type ServiceAddress } from "./addresses.ts";
export { importBinaryCacheDir } from "./binary-cache-dir.ts";
export { main } from "./cli.ts";
export type { CliContext } from "./cli-context.ts";
export { type CopyPathsOptions, copyPaths } from "./copy-paths.ts";
export { defaultDataDir, type EmbeddedStore, openEmbeddedStore } from "./embedded-store.ts";
export { fsEntries } from "./fs-entries.ts";
export { connectGrpc, type GrpcConnection } from "./grpc.ts";
export { LmdbEnvironment } from "./lmdb.ts";
export { NodeHashEngine } from "./node-hash-engine.ts";
export { ClosureDirectoryService } from "./objects/closure-directories.ts";
export { FileObjectStore } from "./objects/file-object-store.ts";
export { ObjectChunkStore } from "./objects/object-chunk-store.ts";
export { StagedObjectStore } from "./objects/staged-object-store.ts";
export { type PathGraphEntry, parsePathGraph } from "./path-graph.ts";
export { rpcRoutes } from "./rpc/routes.ts";
export { type ListenAddress, type RunningServer, type ServerOptions, startServer } from "./server.ts";
export { type OpenedServices, openServices, type ServiceAddresses } from "./services.ts";
export { serveStatic } from "./static-files.ts";
export { UsageError } from "./usage-error.ts";
