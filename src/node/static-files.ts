import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { extname, join, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileError, systemErrorCode } from "./file-error.ts";
import type { ServerAnswer, ServerRequest } from "./server-request.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".gif": "image/gif",
  ".html": "text/html; charset=utf-8",
  ".ico": "image/x-icon",
  ".jpg": "image/jpeg",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".map": "application/json",
  ".mjs": "text/javascript; charset=utf-8",
  ".nar": "application/x-nix-nar",
  ".narinfo": "text/x-nix-narinfo",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".txt": "text/plain; charset=utf-8",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
  ".webp": "image/webp",
  ".woff2": "font/woff2",
  ".xml": "application/xml",
};

/** Paths of files whose names contain a hash of their content. */
const HASHED = /^\/assets\//;

/**
 * Security headers. The viewer shows content made by strangers: nothing of it may run as a script
 * on this origin, and other sites must not frame the viewer.
 */
const SECURITY: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
};

export interface StaticRequest {
  readonly method: string;
  /** Target of the request as it came: percent-encoded, possibly with a query. */
  readonly url: string;
  readonly headers: Pick<IncomingHttpHeaders, "if-none-match" | "if-modified-since">;
}

export interface StaticResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Body, or `undefined` if the answer has none. */
  readonly body?: Readable | undefined;
}

/**
 * Serves the files under `root`, which must not contain secrets. Returns `undefined` if there is no
 * such file.
 */
export async function serveStatic(root: string, request: StaticRequest): Promise<StaticResponse | undefined> {
  const path = decodePath(request.url);
  if (path === undefined) return undefined;
  const name = path.endsWith("/") ? `${path}index.html` : path;
  const file = await findFile(root, name);
  if (!file) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, headers: { ...SECURITY, allow: "GET, HEAD", "content-length": "0" } };
  }
  // Last-Modified has a precision of one second. The size in the tag distinguishes builds within
  // one second.
  const modified = Math.floor(file.mtimeMs / 1000) * 1000;
  const etag = `"${Math.floor(file.mtimeMs).toString(36)}-${file.size.toString(36)}"`;
  const headers = {
    ...SECURITY,
    etag,
    "last-modified": new Date(modified).toUTCString(),
    "cache-control": HASHED.test(path) ? "public, max-age=31536000, immutable" : "no-cache",
  };
  if (isFresh(request.headers, etag, modified)) return { status: 304, headers };
  return {
    status: 200,
    headers: {
      ...headers,
      "content-type": TYPES[extname(name).toLowerCase()] ?? "application/octet-stream",
      "content-length": String(file.size),
    },
    // Send exactly the declared length, even if the file grows meanwhile.
    body: request.method === "HEAD" || file.size === 0 ? undefined : createReadStream(file.path, { end: file.size - 1 }),
  };
}

/**
 * Decodes the path of a URL. Returns `undefined` if it is malformed or could lead outside of the
 * root.
 */
function decodePath(url: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0] as string);
  } catch {
    return undefined;
  }
  if (!path.startsWith("/") || path.includes("\0") || path.includes("\\")) return undefined;
  const names = path.slice(1).split("/");
  // Dot files are never served. This also excludes `..`.
  return names.some((name) => name.startsWith(".")) ? undefined : path;
}

async function findFile(root: string, name: string): Promise<{ path: string; size: number; mtimeMs: number } | undefined> {
  try {
    const top = await realpath(root);
    const path = await realpath(join(top, name));
    // A symlink must not lead outside of the root.
    if (!path.startsWith(top.endsWith(sep) ? top : top + sep)) return undefined;
    const found = await stat(path);
    return found.isFile() ? { path, size: found.size, mtimeMs: found.mtimeMs } : undefined;
  } catch (error) {
    if (["ENOENT", "ENOTDIR", "ENAMETOOLONG", "ELOOP", "EACCES"].includes(systemErrorCode(error) ?? "")) return undefined;
    throw fileError(error, `can't read ${name}`);
  }
}

function isFresh(headers: StaticRequest["headers"], etag: string, modified: number): boolean {
  const match = headers["if-none-match"];
  if (match !== undefined) {
    return match.split(",").some((tag) => tag.trim() === "*" || tag.trim().replace(/^W\//, "") === etag);
  }
  const since = Date.parse(headers["if-modified-since"] ?? "");
  return !Number.isNaN(since) && modified <= since;
}

/** Answers a request with a file under `root`, or with 404 if there is no such file. */
export function answerStatic(root: string | undefined, request: ServerRequest, answer: ServerAnswer): void {
  // Ignore the body of the request.
  request.resume();
  const { method = "GET", url = "/", headers } = request;
  const served = root === undefined ? Promise.resolve(undefined) : serveStatic(root, { method, url, headers });
  served.then(
    (found) => {
      const response = found ?? NOT_FOUND;
      for (const [name, value] of Object.entries(response.headers)) answer.setHeader(name, value);
      answer.writeHead(response.status);
      if (!response.body) answer.end();
      // An error here means that the connection has closed or the file was truncated. The answer
      // then ends before its declared length.
      else pipeline(response.body, answer).catch(() => {});
    },
    () => {
      answer.writeHead(500);
      answer.end();
    },
  );
}

const NOT_FOUND: StaticResponse = { status: 404, headers: { ...SECURITY, "content-length": "0" } };
