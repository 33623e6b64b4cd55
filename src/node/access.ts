import { cors } from "@connectrpc/connect";
import { StoreError } from "../error.ts";

/**
 * Rules for the browsers that may talk to the daemon.
 *
 * The daemon has no passwords: every client that reaches it may read and write. It therefore
 * refuses requests from pages of other origins, unless the origin is on this machine or was
 * allowed. On a loopback address it also refuses unknown host names, because DNS rebinding can
 * point a name at a loopback address.
 */
export interface AccessRules {
  /** Origins to allow besides loopback origins and the server's own. */
  allowOrigins?: readonly string[] | undefined;
  /** Host names to accept besides those of loopback addresses. */
  allowHosts?: readonly string[] | undefined;
}

export interface AccessRequest {
  method: string;
  /** The Host header, or `:authority`. */
  host: string | undefined;
  origin: string | undefined;
  /** Method that a CORS preflight asks for. */
  requestedMethod: string | undefined;
  requestedHeaders: string | undefined;
}

export type AccessDecision =
  /** Answer 403 with the reason. */
  | { kind: "refused"; reason: string }
  | { kind: "preflight"; headers: Record<string, string> }
  | { kind: "allowed"; headers: Record<string, string> };

/** Two hours: Chromium ignores a longer time. */
const PREFLIGHT_SECONDS = 7200;

const METHODS = "GET, HEAD, POST, PUT";
const EXPOSED = [...cors.exposedHeaders, "Accept-Ranges", "Content-Length", "Content-Range", "ETag"].join(", ");

/**
 * Creates the function that decides on each request. `checkHost` says whether to check the Host
 * header.
 *
 * @throws StoreError `invalid` if an allowed origin has a wrong form
 */
export function createAccessCheck(rules: AccessRules): (request: AccessRequest, checkHost: boolean) => AccessDecision {
  const origins = new Set(rules.allowOrigins?.map(normalizeOrigin));
  const hosts = new Set(rules.allowHosts?.map((host) => host.toLowerCase()));

  return (request, checkHost) => {
    const { origin, host } = request;
    if (checkHost) {
      const name = hostName(host);
      if (name === undefined || !(isLoopbackName(name) || hosts.has(name))) {
        return {
          kind: "refused",
          reason: `this server does not answer to the name ${JSON.stringify(host ?? "")}; use --allow-host to allow it`,
        };
      }
    }
    const headers: Record<string, string> = { Vary: "Origin" };
    if (origin === undefined) return { kind: "allowed", headers };
    if (!isAllowedOrigin(origin, host, origins)) {
      return { kind: "refused", reason: `pages of ${JSON.stringify(origin)} are not allowed; use --allow-origin to allow them` };
    }
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
