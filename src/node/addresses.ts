import { resolve } from "node:path";
import { isStoreError } from "../error.ts";
import { formatPublicKey, type PublicKey, parsePublicKeys } from "../nix/key.ts";
import { UsageError } from "./usage-error.ts";

/** Address of a service, as flags such as `--blob-service-addr` accept it. */
export type ServiceAddress =
  | { readonly scheme: "memory" }
  /** An embedded store, opened by `openEmbeddedStore`. */
  | { readonly scheme: "file"; readonly path: string }
  | { readonly scheme: "objectstore+file"; readonly path: string }
  | { readonly scheme: "grpc+http" | "grpc+https"; readonly url: string }
  | { readonly scheme: "grpc+unix"; readonly path: string }
  /** A Nix binary cache, which has only path infos. `url` has no `nix+` prefix. */
  | {
      readonly scheme: "nix+http" | "nix+https";
      readonly url: string;
      readonly trustedPublicKeys: readonly PublicKey[];
      /** Whether one of the keys must have signed a path that is not content-addressed. */
      readonly requireSignatures: boolean;
    };

export type NixCacheAddress = Extract<ServiceAddress, { scheme: `nix+${string}` }>;

/** Schemes that the contract promises, or that tvix or snix have. */
const NOT_BUILT: ReadonlySet<string> = new Set([
  "objectstore+s3",
  "objectstore+s3a",
  "objectstore+gs",
  "objectstore+http",
  "objectstore+https",
  "objectstore+memory",
  "nix+s3",
  "bigtable",
  "sled",
  "redb",
]);

/**
 * Parses an address. A path can follow the colon directly (`file:DIR`): it is relative to the
 * working directory and not decoded. It can also have the form of a URL (`file:///DIR`): it is
 * percent-encoded.
 *
 * @throws UsageError if the address is wrong, or if its scheme is unknown or not supported yet; the
 *   message then names the scheme
 */
export function parseAddress(text: string): ServiceAddress {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) throw new UsageError(`not a service address: ${JSON.stringify(text)}`);
  switch (scheme) {
    case "memory":
      if (rest !== "" && rest !== "//") throw new UsageError(`the address ${text} has text after the colon; write memory:`);
      return { scheme };
    case "file":
    case "objectstore+file":
    case "grpc+unix":
      return { scheme, path: parsePath(text, rest) };
    case "grpc+http":
    case "grpc+https":
      return { scheme, url: parseGrpcUrl(text, scheme, rest) };
    case "nix+http":
    case "nix+https":
      return parseNixCache(text, scheme, rest);
    default:
      throw new UsageError(
        NOT_BUILT.has(scheme) ? `the address scheme ${scheme} is not supported yet` : `the address scheme ${scheme} is unknown`,
      );
  }
}

/** Formats an address in canonical form: addresses with the same meaning give the same text. */
export function formatAddress(address: ServiceAddress): string {
  if ("path" in address) return `${address.scheme}:${address.path}`;
  if (!("url" in address)) return `${address.scheme}:`;
  return isNixCache(address) ? formatNixCache(address) : `grpc+${address.url}`;
}

export function isNixCache(address: ServiceAddress): address is NixCacheAddress {
  return address.scheme === "nix+http" || address.scheme === "nix+https";
}

function formatNixCache({ url, trustedPublicKeys, requireSignatures }: NixCacheAddress): string {
  const parameters: string[] = [];
  const keys = trustedPublicKeys.map(formatPublicKey).sort().map(encodeURIComponent);
  if (keys.length > 0) parameters.push(`${KEYS_PARAMETER}=${keys.join("%20")}`);
  if (!requireSignatures) parameters.push(`${SIGNATURES_PARAMETER}=false`);
  return `nix+${url}${parameters.length > 0 ? "?" : ""}${parameters.join("&")}`;
}

function parsePath(text: string, rest: string): string {
  let path = rest;
  if (rest.startsWith("//")) {
    const slash = rest.indexOf("/", 2);
    if (slash !== 2) throw new UsageError(`the address ${text} names a host; write ${text.slice(0, -rest.length)}///PATH`);
    try {
      path = decodeURIComponent(rest.slice(slash));
    } catch {
      throw new UsageError(`the address ${text} has invalid percent-encoding`);
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

/** Names of Nix's settings, which Nix accepts as parameters of a store URL. */
const KEYS_PARAMETER = "trusted-public-keys";
const SIGNATURES_PARAMETER = "require-sigs";

/**
 * Separator of keys: blanks or commas. A plus stands for a blank in a query, but Base64 uses it
 * too, so it only separates after the `=` that ends a key.
 */
const BETWEEN_KEYS = /[\s,]+|(?<==)\+/;

function parseNixCache(text: string, scheme: NixCacheAddress["scheme"], rest: string): NixCacheAddress {
  const url = URL.canParse(`${scheme.slice("nix+".length)}:${rest}`)
    ? new URL(`${scheme.slice("nix+".length)}:${rest}`)
    : undefined;
  if (!rest.startsWith("//") || !url?.hostname || url.hash || url.username || url.password)
    throw new UsageError(`the address ${text} is not ${scheme}://HOST/PATH?${KEYS_PARAMETER}=KEY`);
  const keys: string[] = [];
  let requireSignatures = true;
  for (const parameter of url.search.slice(1).split("&")) {
    const [name = "", ...parts] = parameter.split("=");
    const value = decodeParameter(text, parts.join("="));
    if (name === KEYS_PARAMETER) keys.push(...value.split(BETWEEN_KEYS).filter((key) => key !== ""));
    else if (name === SIGNATURES_PARAMETER && (value === "true" || value === "false")) requireSignatures = value === "true";
    else if (parameter !== "")
      throw new UsageError(`the address ${text} has ${JSON.stringify(parameter)}, which is not a known parameter`);
  }
  url.search = "";
  try {
    return { scheme, url: url.href.replace(/\/$/, ""), trustedPublicKeys: parsePublicKeys(keys), requireSignatures };
  } catch (error) {
    if (isStoreError(error, "invalid")) throw new UsageError(`the address ${text}: ${error.message}`);
    throw error;
  }
}

function decodeParameter(text: string, value: string): string {
  try {
    return decodeURIComponent(value);
  } catch {
    throw new UsageError(`the address ${text} has invalid percent-encoding`);
  }
}
