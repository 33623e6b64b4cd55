import type { ServiceAddresses } from "./services.ts";

/** The flags for the addresses of services, for `parseArgs`; each may also come from the environment. */
export const SERVICE_FLAGS = {
  "blob-service-addr": { type: "string" },
  "directory-service-addr": { type: "string" },
  "path-info-service-addr": { type: "string" },
} as const;

export const SERVICE_FLAGS_HELP = `  --blob-service-addr URL       where blobs are        (or $BLOB_SERVICE_ADDR)
  --directory-service-addr URL  where directories are  (or $DIRECTORY_SERVICE_ADDR)
  --path-info-service-addr URL  where path infos are   (or $PATH_INFO_SERVICE_ADDR)`;

export const ADDRESSES_HELP = `Addresses:
  memory:                   gone when the program ends
  file:DIR                  an embedded store
  objectstore+file:DIR      blobs alone, in the object store layout of snix
  grpc+http://HOST:PORT     a daemon; also grpc+https://HOST:PORT and grpc+unix:PATH
  nix+https://HOST/PATH?trusted-public-keys=KEY%20KEY
                            a Nix binary cache, for path infos: a path that is asked for is imported into the other
                            services; require-sigs=false also takes unsigned paths; also nix+http:`;

/** The daemon that clients talk to, and the address that it listens on. */
export const DEFAULT_LISTEN = "127.0.0.1:8000";
export const DEFAULT_DAEMON = `grpc+http://${DEFAULT_LISTEN}`;

export type ServiceFlagValues = { readonly [flag in keyof typeof SERVICE_FLAGS]?: string | undefined };

/** A flag goes before the environment, and that before the default. */
export function serviceAddresses(flags: ServiceFlagValues, environment: NodeJS.ProcessEnv, otherwise: string): ServiceAddresses {
  return {
    blobs: flags["blob-service-addr"] ?? (environment.BLOB_SERVICE_ADDR || otherwise),
    directories: flags["directory-service-addr"] ?? (environment.DIRECTORY_SERVICE_ADDR || otherwise),
    pathInfos: flags["path-info-service-addr"] ?? (environment.PATH_INFO_SERVICE_ADDR || otherwise),
  };
}
