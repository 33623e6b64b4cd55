import { isIP } from "node:net";
import { cors } from "@connectrpc/connect";
import { StoreError } from "../error.ts";

/**
 * Rules for the browsers that may talk to the daemon.
 *
 * A page can make its browser send requests to any address. So the daemon refuses requests from
 * pages of other origins, unless the origin is on this machine or was allowed. It also refuses
 * unknown host names, because DNS rebinding can point a page's own name at the daemon's address.
 */
export interface AccessRules {
  /** Origins to allow besides loopback origins and the server's own. */
  allowOrigins?: readonly string[] | undefined;
  /** Host names to accept besides loopback names and IP addresses. */
  allowHosts?: readonly string[] | undefined;
}

/**
 * Where clients can reach a listener. It decides which Host headers the daemon accepts: loopback
 * names and addresses (`machine`), also any IP address (`network`), or any header (`socket`).
 */
export type Reach = "machine" | "network" | "socket";

export interface AccessRequest {
  method: string;
  /** The Host header, or `:authority`. */
  host: string | undefined;
  origin: string | undefined;
  /** Method that a CORS preflight asks for. */
  requestedMethod: string | undefined;
  requestedHeaders: string | undefined;
  /** The headers `Sec-Fetch-Site` and `Sec-Fetch-Dest`, which browsers send. */
  fetchSite: string | undefined;
  fetchDest: string | undefined;
}

export type AccessDecision =
  /** Answer 403 with the reason. */
  | { kind: "refused"; reason: string; headers: Record<string, string> }
  | { kind: "preflight"; headers: Record<string, string> }
  | { kind: "allowed"; headers: Record<string, string> };

/** Two hours: Chromium ignores a longer time. */
const PREFLIGHT_SECONDS = 7200;

const METHODS = "GET, HEAD, POST, PUT";
const EXPOSED = [...cors.exposedHeaders, "Accept-Ranges", "Content-Length", "Content-Range", "ETag"].join(", ");

/**
 * Headers of every answer. A page of another origin must not load an answer as a script, image or
 * frame: otherwise the page could tell from the success of the load whether the store has a path.
 */
const ISOLATION = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Cross-Origin-Resource-Policy": "same-origin",
};

/**
 * Creates the function that decides on each request.
 *
 * @throws StoreError `invalid` if an allowed origin has a wrong form
 */
export function createAccessCheck(rules: AccessRules): (request: AccessRequest, reach: Reach) => AccessDecision {
  const origins = new Set(rules.allowOrigins?.map(normalizeOrigin));
  const hosts = new Set(rules.allowHosts?.map((host) => host.toLowerCase()));

  return (request, reach) => {
    const { origin, host } = request;
    const name = hostName(host);
    if (reach !== "socket" && !(name !== undefined && (isRightName(name, reach) || hosts.has(name)))) {
      return refused(`this server does not answer to the name ${JSON.stringify(host ?? "")}; use --allow-host to allow it`);
    }
    const headers: Record<string, string> = { ...ISOLATION, Vary: "Origin, Sec-Fetch-Site" };
    if (origin === undefined) {
      if (isForeign(request, name)) return refused("pages of other origins can't load this; use --allow-origin and a CORS request");
      return { kind: "allowed", headers };
    }
    if (!isAllowedOrigin(origin, host, origins))
      return refused(`pages of ${JSON.stringify(origin)} are not allowed; use --allow-origin to allow them`);
    headers["Access-Control-Allow-Origin"] = origin;
    if (request.method !== "OPTIONS" || request.requestedMethod === undefined) {
      headers["Access-Control-Expose-Headers"] = EXPOSED;
      return { kind: "allowed", headers };
    }
    headers["Access-Control-Allow-Methods"] = METHODS;
    // An allowed page may send any header: a proxy in between may require one.
    headers["Access-Control-Allow-Headers"] = request.requestedHeaders ?? cors.allowedHeaders.join(", ");
    headers["Access-Control-Max-Age"] = String(PREFLIGHT_SECONDS);
    headers["Access-Control-Allow-Private-Network"] = "true";
    return { kind: "preflight", headers };
  };
}

function refused(reason: string): AccessDecision {
  return { kind: "refused", reason, headers: ISOLATION };
}

/**
 * Whether to refuse a request without `Origin`, because a page of another origin sent it, for
 * example for an image. Exempt are navigation by GET, so that links to the viewer work, and
 * `same-site` requests to a loopback name: pages on other ports of this machine send them.
 */
function isForeign({ fetchSite, fetchDest, method }: AccessRequest, host: string | undefined): boolean {
  if (fetchSite === undefined || fetchSite === "same-origin" || fetchSite === "none") return false;
  if (fetchSite === "same-site" && host !== undefined && isLoopbackName(host)) return false;
  return !(fetchDest === "document" && method === "GET");
}

/** Whether a host name is safe from DNS rebinding. */
function isRightName(name: string, reach: Reach): boolean {
  return isLoopbackName(name) || (reach === "network" && isIP(name.replace(/^\[|\]$/g, "")) !== 0);
}

function normalizeOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  if (origin === "null")
    throw new StoreError("invalid", `${JSON.stringify(text)} is not an origin; write one as https://example.org`);
  return origin;
}

function isAllowedOrigin(origin: string, host: string | undefined, allowed: ReadonlySet<string>): boolean {
  if (allowed.has(origin)) return true;
  if (!URL.canParse(origin)) return false;
  const url = new URL(origin);
  if (url.protocol !== "http:" && url.protocol !== "https:") return false;
  return isLoopbackName(url.hostname) || url.host === host?.toLowerCase();
}

function hostName(host: string | undefined): string | undefined {
  if (host === undefined || /[/?#@\\]/.test(host)) return undefined;
  const url = `http://${host}`;
  return URL.canParse(url) ? new URL(url).hostname : undefined;
}

/**
 * @param name in the form of a URL's host: lower case, IPv6 in brackets
 */
function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Whether only this machine can reach a socket that is bound to this address. */
export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
