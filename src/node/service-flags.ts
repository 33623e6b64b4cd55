import type { ServiceAddresses } from "./services.ts";

/**
 * Flags for the addresses of services, for `parseArgs`. Each address can also come from the
 * environment.
 */
export const SERVICE_FLAGS = {
  "blob-service-addr": { type: "string" },
  "directory-service-addr": { type: "string" },
  "path-info-service-addr": { type: "string" },
} as const;

export const SERVICE_FLAGS_HELP = `  --blob-service-addr URL       address of the blobs        (or $BLOB_SERVICE_ADDR)
  --directory-service-addr URL  address of the directories  (or $DIRECTORY_SERVICE_ADDR)
  --path-info-service-addr URL  address of the path infos   (or $PATH_INFO_SERVICE_ADDR)`;

export const ADDRESSES_HELP = `Addresses:
  memory:                   a store in memory, which is lost when the program ends
  file:DIR                  an embedded store
  objectstore+file:DIR      only blobs, in the object store layout of snix
  grpc+http://HOST:PORT     a daemon; also grpc+https://HOST:PORT and grpc+unix:PATH
  nix+https://HOST/PATH?trusted-public-keys=KEY%20KEY
                            a Nix binary cache, only for path infos: each requested path is imported
                            into the other two services. With require-sigs=false, unsigned paths are
                            accepted too. Also nix+http:`;

/** Address that the daemon listens on by default, and that clients connect to by default. */
export const DEFAULT_LISTEN = "127.0.0.1:8000";
export const DEFAULT_DAEMON = `grpc+http://${DEFAULT_LISTEN}`;

export type ServiceFlagValues = { readonly [flag in keyof typeof SERVICE_FLAGS]?: string | undefined };

/**
 * Determines the addresses of the services: from the flag, else from the environment variable, else
 * `otherwise`.
 */
export function serviceAddresses(flags: ServiceFlagValues, environment: NodeJS.ProcessEnv, otherwise: string): ServiceAddresses {
  return {
    blobs: flags["blob-service-addr"] ?? (environment.BLOB_SERVICE_ADDR || otherwise),
    directories: flags["directory-service-addr"] ?? (environment.DIRECTORY_SERVICE_ADDR || otherwise),
    pathInfos: flags["path-info-service-addr"] ?? (environment.PATH_INFO_SERVICE_ADDR || otherwise),
  };
}
