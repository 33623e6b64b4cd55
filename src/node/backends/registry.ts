import type { AnyBackend } from "./backend.ts";
import { embeddedBackend } from "./embedded.ts";
import { grpcBackend } from "./grpc.ts";
import { memoryBackend } from "./memory.ts";
import { memoryObjectStoreBackend } from "./memory-object-store.ts";
import { nixCacheBackend } from "./nix-cache.ts";
import { objectStoreBackend } from "./object-store.ts";

/** Every backend that addresses can name, in the order of the help. */
export const BACKENDS = [
  memoryBackend,
  embeddedBackend,
  objectStoreBackend,
  memoryObjectStoreBackend,
  grpcBackend,
  nixCacheBackend,
] as const satisfies readonly AnyBackend[];

/** Schemes that the contract promises, or that tvix or snix have, without a backend yet. */
export const NOT_BUILT: ReadonlySet<string> = new Set([
  "objectstore+s3",
  "objectstore+s3a",
  "objectstore+gs",
  "objectstore+http",
  "objectstore+https",
  "nix+s3",
  "bigtable",
  "sled",
  "redb",
]);
