import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Asked, flakyCacheUrl, type Script, type Step } from "./flaky-script.ts";

interface Session {
  readonly script: Script;
  readonly asked: Asked[];
}

export interface FlakyServer {
  /** URL of the server. Ends in a slash. */
  readonly origin: string;
  /** Creates the URL of a cache that behaves as `script` says. Ends in a slash. */
  cache(script?: Script): string;
  /** Returns the requests that this cache has received. */
  asked(cache: string): readonly Asked[];
  /** Number of open connections. */
  readonly connections: number;
  close(): void;
}

/**
 * Serves files with the failures of real networks. The script is a part of the URL, so that a page
 * can create one: see `flakyCacheUrl`. A page can fetch `asked` to read the list of requests.
 *
 * @param file returns the content of a path, or `undefined` if there is none
 */
export async function startFlakyServer(
  file: (path: string) => Uint8Array | undefined | Promise<Uint8Array | undefined>,
): Promise<FlakyServer> {
  const sessions = new Map<string, Session>();
  let connections = 0;
  const session = (key: string): Session => {
    const script = JSON.parse(Buffer.from(key.split(".")[0] ?? "", "base64url").toString()) as Script;
    const found = sessions.get(key) ?? { script, asked: [] };
    sessions.set(key, found);
    return found;
  };
  const server = createServer((request, answer) => {
    const [, key = "", ...rest] = (request.url ?? "").split("/");
    const path = rest.join("/");
    const { script, asked } = session(key);
    const common = corsHeaders(script);
    if (request.method === "OPTIONS") {
      answer.writeHead(script.cors === "all" ? 204 : 404, common).end();
      return;
    }
    if (path === "asked") {
      answer.writeHead(200, { ...common, "content-type": "application/json" }).end(JSON.stringify(asked));
      return;
    }
    const steps = Object.entries(script.steps ?? {}).find(([part]) => path.includes(part))?.[1] ?? [];
    const step = steps[asked.filter((earlier) => earlier.path === path).length] ?? "ok";
    asked.push({ path, range: request.headers.range });
    void play(step, script, request, answer, () => file(path), common, asked.length);
  });
  server.on("connection", (socket) => {
    connections++;
    socket.on("close", () => connections--);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    origin,
    cache: (script = {}) => flakyCacheUrl(origin, script),
    asked: (cache) => session(cache.slice(origin.length, -1)).asked,
    get connections() {
      return connections;
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function play(
  step: Step,
  script: Script,
  request: IncomingMessage,
  answer: ServerResponse,
  read: () => Uint8Array | undefined | Promise<Uint8Array | undefined>,
  common: Record<string, string>,
  count: number,
): Promise<void> {
  if (step === "silent") return;
  if (step === "reset") {
    request.socket.resetAndDestroy();
    return;
  }
  if (typeof step === "number" || (typeof step === "object" && "status" in step)) {
    const { status, retryAfter } = typeof step === "number" ? { status: step, retryAfter: undefined } : step;
    answer.writeHead(status, { ...common, ...(retryAfter !== undefined && { "retry-after": retryAfter }) }).end("no");
    return;
  }
  const whole = typeof step === "object" && "other" in step ? new Uint8Array(step.other).fill(7) : await read();
  if (!whole) {
    answer.writeHead(404, common).end();
    return;
  }
  const part = rangeOf(request, script, whole.length);
  if (typeof part === "number") {
    answer.writeHead(part, common).end();
    return;
  }
  const bytes = whole.subarray(part.start);
  const isShort = typeof step === "object" && "short" in step;
  const headers = {
    ...common,
    ...(script.acceptRanges && { "accept-ranges": "bytes" }),
    ...(isShort ? {} : { "content-length": String(bytes.length) }),
    ...(part.status === 206 && { "content-range": `bytes ${part.start}-${whole.length - 1}/${whole.length}` }),
    ...(script.etag !== undefined && { etag: script.etag === "each" ? `"${count}"` : script.etag }),
  };
  answer.writeHead(part.status, headers);
  if (isShort) answer.end(bytes.subarray(0, step.short));
  else if (typeof step === "object" && "cut" in step) {
    // Without the delay, the reset could overtake the bytes.
    answer.write(bytes.subarray(0, step.cut), () => setTimeout(() => request.socket.resetAndDestroy(), 20));
  } else if (typeof step === "object" && "stall" in step && step.stall < bytes.length) answer.write(bytes.subarray(0, step.stall));
  else answer.end(bytes);
}

/** Returns the range to send, or the status of a refusal. */
function rangeOf(request: IncomingMessage, { ranges = "yes" }: Script, size: number): { status: number; start: number } | number {
  const [, first] = /^bytes=([0-9]+)-$/.exec(request.headers.range ?? "") ?? [];
  if (first === undefined || ranges === "ignored") return { status: 200, start: 0 };
  const start = Number(first);
  if (ranges === "400") return 400;
  if (ranges === "416" || start >= size) return 416;
  return { status: 206, start: ranges === "wrong" ? start - 1 : start };
}

function corsHeaders({ cors }: Script): Record<string, string> {
  const all = {
    "access-control-allow-headers": "range",
    "access-control-expose-headers": "retry-after, etag, content-range, accept-ranges",
  };
  return { "access-control-allow-origin": "*", ...(cors === "all" && all) };
}
