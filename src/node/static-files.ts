import { createReadStream } from "node:fs";
import { realpath, stat } from "node:fs/promises";
import type { IncomingHttpHeaders } from "node:http";
import { extname, join, sep } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileError, systemErrorCode } from "./file-error.ts";
import type { ServerAnswer, ServerRequest } from "./rpc/listener.ts";

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

/** What the build names by its content. */
const HASHED = /^\/assets\//;

/** The viewer shows what strangers made: nothing of it may run as a script here, nor be framed by others. */
const SECURITY: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
};

export interface StaticRequest {
  readonly method: string;
  /** As it came: percent-encoded, perhaps with a query. */
  readonly url: string;
  readonly headers: Pick<IncomingHttpHeaders, "if-none-match" | "if-modified-since">;
}

export interface StaticResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** `undefined` if there is none to send. */
  readonly body?: Readable | undefined;
}

/** Serves the files under `root`, which holds nothing secret. `undefined` where it has no such file. */
export async function serveStatic(root: string, request: StaticRequest): Promise<StaticResponse | undefined> {
  const path = decodePath(request.url);
  if (path === undefined) return undefined;
  const name = path.endsWith("/") ? `${path}index.html` : path;
  const file = await findFile(root, name);
  if (!file) return undefined;
  if (request.method !== "GET" && request.method !== "HEAD") {
    return { status: 405, headers: { ...SECURITY, allow: "GET, HEAD", "content-length": "0" } };
  }
  // Seconds, as Last-Modified has them; the size tells apart what was built within one.
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
    // Exactly the declared length, should the file grow meanwhile.
    body: request.method === "HEAD" || file.size === 0 ? undefined : createReadStream(file.path, { end: file.size - 1 }),
  };
}

/** The path of the URL, decoded; `undefined` if it is none or could lead elsewhere. */
function decodePath(url: string): string | undefined {
  let path: string;
  try {
    path = decodeURIComponent(url.split(/[?#]/, 1)[0] as string);
  } catch {
    return undefined;
  }
  if (!path.startsWith("/") || path.includes("\0") || path.includes("\\")) return undefined;
  const names = path.slice(1).split("/");
  // Dot files are nobody's business, and `..` is one of them.
  return names.some((name) => name.startsWith(".")) ? undefined : path;
}

async function findFile(root: string, name: string): Promise<{ path: string; size: number; mtimeMs: number } | undefined> {
  try {
    const top = await realpath(root);
    const path = await realpath(join(top, name));
    // A symlink must not lead out.
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

/** Answers a request that is for nothing else with a file under `root`, if there is one, or that there is none. */
export function answerStatic(root: string | undefined, request: ServerRequest, answer: ServerAnswer): void {
  // Whatever it sends is not wanted.
  request.resume();
  const { method = "GET", url = "/", headers } = request;
  const served = root === undefined ? Promise.resolve(undefined) : serveStatic(root, { method, url, headers });
  served.then(
    (found) => {
      const response = found ?? NOT_FOUND;
      for (const [name, value] of Object.entries(response.headers)) answer.setHeader(name, value);
      answer.writeHead(response.status);
      if (!response.body) answer.end();
      // An error here is of a connection that is gone, or of a file that was cut short: the answer ends before its declared length.
      else pipeline(response.body, answer).catch(() => {});
    },
    () => {
      answer.writeHead(500);
      answer.end();
    },
  );
}

const NOT_FOUND: StaticResponse = { status: 404, headers: { ...SECURITY, "content-length": "0" } };
