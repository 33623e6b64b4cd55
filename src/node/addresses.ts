import { resolve } from "node:path";
import { UsageError } from "./usage-error.ts";

/** The addresses of services, as `--blob-service-addr` and its like take them. */
export type ServiceAddress =
  | { readonly scheme: "memory" }
  /** An embedded store: `openEmbeddedStore`. */
  | { readonly scheme: "file"; readonly path: string }
  | { readonly scheme: "objectstore+file"; readonly path: string }
  | { readonly scheme: "grpc+http" | "grpc+https"; readonly url: string }
  | { readonly scheme: "grpc+unix"; readonly path: string };

/** Promised by the contract, or known from tvix and snix. */
const NOT_BUILT: ReadonlySet<string> = new Set([
  "objectstore+s3",
  "objectstore+s3a",
  "objectstore+gs",
  "objectstore+http",
  "objectstore+https",
  "objectstore+memory",
  "nix+http",
  "nix+https",
  "nix+s3",
  "bigtable",
  "sled",
  "redb",
]);

/**
 * Reads an address. Paths may follow the colon directly (`file:DIR`, relative to the working directory, taken as it is), or as in a URL
 * (`file:///DIR`, percent-encoded).
 *
 * @throws UsageError that names the scheme
 */
export function parseAddress(text: string): ServiceAddress {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) throw new UsageError(`not a service address: ${JSON.stringify(text)}`);
  switch (scheme) {
    case "memory":
      if (rest !== "" && rest !== "//") throw new UsageError(`nothing may follow in the address ${text}`);
      return { scheme };
    case "file":
    case "objectstore+file":
    case "grpc+unix":
      return { scheme, path: parsePath(text, rest) };
    case "grpc+http":
    case "grpc+https":
      return { scheme, url: parseGrpcUrl(text, scheme, rest) };
    default:
      throw new UsageError(
        NOT_BUILT.has(scheme) ? `the address scheme ${scheme} is not built yet` : `the address scheme ${scheme} is not known`,
      );
  }
}

/** The canonical text: the same for addresses that mean the same. */
export function formatAddress(address: ServiceAddress): string {
  if ("path" in address) return `${address.scheme}:${address.path}`;
  return "url" in address ? address.url.replace(/^/, "grpc+") : `${address.scheme}:`;
}

function parsePath(text: string, rest: string): string {
  let path = rest;
  if (rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2);
    if (slash !== 2) throw new UsageError(`the address ${text} names a host; write ${text.slice(0, -rest.length)}///PATH`);
    try {
      path = decodeURIComponent(rest.slice(slash));
    } catch {
      throw new UsageError(`the address ${text} is not percent-encoded as a URL is`);
    }
  }
  if (path === "" || path.includes("\0")) throw new UsageError(`the address ${text} has no path`);
  return resolve(path);
}

function parseGrpcUrl(text: string, scheme: "grpc+http" | "grpc+https", rest: string): string {
  const address = `${scheme.slice("grpc+".length)}:${rest}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (!rest.startsWith("//") || !url?.hostname || url.pathname !== "/" || url.search || url.hash || url.username || url.password) {
    throw new UsageError(`the address ${text} is not ${scheme}://HOST:PORT`);
  }
  return url.origin;
}
