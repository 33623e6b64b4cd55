import type { BackendHelp } from "./backends/backend.ts";
import { BACKENDS } from "./backends/registry.ts";
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

/** Width of the column that has the form of an address, and width of a line. */
const FORM_WIDTH = 28;
const LINE_WIDTH = 100;

export const ADDRESSES_HELP = ["Addresses:", ...BACKENDS.flatMap(({ help }) => formatHelp(help))].join("\n");

function formatHelp({ form, text }: BackendHelp): string[] {
  const lines = [`  ${form}`.padEnd(FORM_WIDTH)];
  // A form that is too wide for its column has the first line to itself.
  if (lines[0]?.endsWith(form)) lines.push(" ".repeat(FORM_WIDTH));
  let separator = "";
  for (const word of text.split(" ")) {
    const line = lines.pop() + separator;
    if (line.length + word.length <= LINE_WIDTH) lines.push(line + word);
    else lines.push(line.trimEnd(), " ".repeat(FORM_WIDTH) + word);
    separator = " ";
  }
  return lines;
}

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
