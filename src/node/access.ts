import { cors } from "@connectrpc/connect";
import { StoreError } from "../error.ts";

/**
 * Who may talk to the daemon from a browser. It has no passwords: whoever reaches it may read and write. So pages of other origins
 * are refused unless they are on this machine or were allowed, and names that were rebound to a loopback address are as well.
 */
export interface AccessRules {
  /** Origins besides those of loopback addresses and the server's own. */
  allowOrigins?: readonly string[] | undefined;
  /** Names in a Host header besides those of loopback addresses. */
  allowHosts?: readonly string[] | undefined;
}

export interface AccessRequest {
  method: string;
  /** The Host header, or `:authority`. */
  host: string | undefined;
  origin: string | undefined;
  /** What a preflight asks for. */
  requestedMethod: string | undefined;
  requestedHeaders: string | undefined;
}

export type AccessDecision =
  /** Answer with this status, nothing more. */
  | { kind: "refused"; reason: string }
  | { kind: "preflight"; headers: Record<string, string> }
  | { kind: "allowed"; headers: Record<string, string> };

/** Two hours: the most that Chromium heeds. */
const PREFLIGHT_SECONDS = 7200;

const METHODS = "GET, HEAD, POST, PUT";
const EXPOSED = [...cors.exposedHeaders, "Accept-Ranges", "Content-Length", "Content-Range", "ETag"].join(", ");

/** @throws StoreError `invalid` for an origin that can't be one */
export function createAccessCheck(rules: AccessRules): (request: AccessRequest, checkHost: boolean) => AccessDecision {
  const origins = new Set(rules.allowOrigins?.map(normalizeOrigin));
  const hosts = new Set(rules.allowHosts?.map((host) => host.toLowerCase()));

  return (request, checkHost) => {
    const { origin, host } = request;
    if (checkHost) {
      const name = hostName(host);
      if (name === undefined || !(isLoopbackName(name) || hosts.has(name))) {
        return { kind: "refused", reason: `this server does not answer to the name ${JSON.stringify(host ?? "")}` };
      }
    }
    const headers: Record<string, string> = { Vary: "Origin" };
    if (origin === undefined) return { kind: "allowed", headers };
    if (!isAllowedOrigin(origin, host, origins)) {
      return { kind: "refused", reason: `pages of ${JSON.stringify(origin)} are not allowed; --allow-origin allows one` };
    }
    headers["Access-Control-Allow-Origin"] = origin;
    if (request.method !== "OPTIONS" || request.requestedMethod === undefined) {
      headers["Access-Control-Expose-Headers"] = EXPOSED;
      return { kind: "allowed", headers };
    }
    headers["Access-Control-Allow-Methods"] = METHODS;
    // Whoever is allowed at all may send any header: a page may have to satisfy a proxy in between.
    headers["Access-Control-Allow-Headers"] = request.requestedHeaders ?? cors.allowedHeaders.join(", ");
    headers["Access-Control-Max-Age"] = String(PREFLIGHT_SECONDS);
    headers["Access-Control-Allow-Private-Network"] = "true";
    return { kind: "preflight", headers };
  };
}

function normalizeOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  if (origin === "null") throw new StoreError("invalid", `not an origin, such as https://example.org: ${JSON.stringify(text)}`);
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

/** @param name as a URL has it: lower case, IPv6 in brackets */
function isLoopbackName(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost") || name === "[::1]" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Whether a socket that is bound to this address can be reached from this machine alone. */
export function isLoopbackAddress(address: string): boolean {
  return address === "::1" || /^(::ffff:)?127\./.test(address);
}
