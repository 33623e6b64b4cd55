import { once } from "node:events";
import { rm, stat } from "node:fs/promises";
import { createServer as createHttpServer } from "node:http";
import { createServer as createHttp2Server, type ServerHttp2Session } from "node:http2";
import { connect, createServer, type Server, type Socket } from "node:net";
import { StoreError } from "../error.ts";
import { acquiring, type ResourceStack } from "../resource-stack.ts";
import { type AccessRules, createAccessCheck, isLoopbackAddress, type Reach } from "./access.ts";
import { systemErrorCode } from "./file-error.ts";
import { createRpcListener, type RpcListenerOptions } from "./rpc/listener.ts";
import type { Routes } from "./rpc/routes.ts";
import { type ServerAnswer, type ServerRequest, whenGone } from "./server-request.ts";

export type ListenAddress = { host: string; port: number } | { path: string };

export interface ServerOptions extends AccessRules, RpcListenerOptions {
  /** Maximum number of connections; 512 by default. Further ones are closed at once. */
  maxConnections?: number | undefined;
  /**
   * How long an HTTP/2 connection may have no request, in milliseconds; five minutes by default.
   */
  idleTimeout?: number | undefined;
  routes: Routes;
  /** Answers every request that is not an RPC call. By default, the answer is 404. */
  fallback?: ((request: ServerRequest, answer: ServerAnswer) => void) | undefined;
  /** How long `close()` waits for running requests, in milliseconds; 10 seconds by default. */
  closeTimeout?: number | undefined;
  /**
   * How long the headers of an HTTP/1 request may take to arrive, in milliseconds; a minute by
   * default.
   */
  headersTimeout?: number | undefined;
}

export interface RunningServer {
  /** Address of the server: `http://HOST:PORT` or `unix:PATH`. */
  readonly address: string;
  /**
   * Stops accepting connections, waits for running requests, and ends those that don't finish in
   * time.
   */
  close(): Promise<void>;
}

/** First bytes of HTTP/2 with prior knowledge. No HTTP/1 method begins with them. */
const HTTP2_PREFACE = "PRI ";

/** How long a new connection may stay silent, in milliseconds. */
const FIRST_BYTES_TIMEOUT = 30_000;

/** HTTP/2 flow-control window of a stream, in bytes. */
const STREAM_WINDOW = 1024 * 1024;
/** HTTP/2 flow-control window of a connection, in bytes. */
const SESSION_WINDOW = 4 * 1024 * 1024;
/**
 * Memory limit of one HTTP/2 session, in MB, as Node expects. Node's default of 10 is too little
 * for the windows of one session and the answers under way, and Node would refuse streams.
 */
const SESSION_MEMORY = 64;
/** Maximum number of requests that run at the same time on one connection. */
const MAX_STREAMS = 128;
/** Maximum number of connections, by default. */
export const DEFAULT_MAX_CONNECTIONS = 512;
/** Milliseconds after which an HTTP/2 connection without requests is closed, by default. */
const IDLE_TIMEOUT = 300_000;

/**
 * Starts a server on one port for everything: gRPC over HTTP/2 with prior knowledge, and gRPC-Web,
 * Connect and plain HTTP over HTTP/1 or HTTP/2. The first bytes of a connection decide which server
 * handles it.
 *
 * @throws StoreError `unavailable` if it can't listen on the address; `invalid` if an allowed
 *   origin has a wrong form
 */
export function startServer(listen: ListenAddress, options: ServerOptions): Promise<RunningServer> {
  return acquiring((acquired) => start(acquired, listen, options));
}

async function start(acquired: ResourceStack, listen: ListenAddress, options: ServerOptions): Promise<RunningServer> {
  const closing = new AbortController();
  const rpc = createRpcListener(options.routes, closing.signal, options);
  const access = createAccessCheck(options);
  let reach: Reach = "socket";
  let running = 0;

  const handle = (request: ServerRequest, answer: ServerAnswer): void => {
    running++;
    whenGone(request, answer, () => {
      running--;
      if (closing.signal.aborted) closeIdle();
    });
    if (closing.signal.aborted && request.httpVersionMajor === 1) answer.setHeader("Connection", "close");
    const decision = access(accessRequest(request), reach);
    for (const [name, value] of Object.entries(decision.headers)) answer.setHeader(name, value);
    if (decision.kind === "refused") plainAnswer(request, answer, 403, decision.reason);
    else if (decision.kind === "preflight") plainAnswer(request, answer, 204);
    else if (rpc(request, answer)) return;
    else if (options.fallback) options.fallback(request, answer);
    else plainAnswer(request, answer, 404, "not found");
  };

  const { headersTimeout = 60_000 } = options;
  const http = createHttpServer(
    // An upload may take any time, so a whole request has no time limit.
    { requestTimeout: 0, headersTimeout, connectionsCheckingInterval: Math.min(headersTimeout, 30_000) },
    handle,
  );
  // This server doesn't listen itself: it gets its connections from the socket server. Node only
  // checks for slow headers after the `listening` event.
  http.emit("listening");
  acquired.defer(() => void http.close());
  const http2 = createHttp2Server(
    {
      settings: { initialWindowSize: STREAM_WINDOW, maxConcurrentStreams: MAX_STREAMS },
      maxSessionMemory: SESSION_MEMORY,
    },
    handle,
  );
  acquired.defer(() => void http2.close());
  const sockets = new Set<Socket>();
  const sessions = new Set<ServerHttp2Session>();
  http2.on("session", (session) => {
    session.setLocalWindowSize(SESSION_WINDOW);
    sessions.add(session);
    const stopWatch = closeWhenIdle(session, options.idleTimeout ?? IDLE_TIMEOUT);
    session.once("close", () => {
      stopWatch();
      sessions.delete(session);
    });
  });

  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    // Ignore errors of the connection: the HTTP servers handle them too.
    socket.on("error", () => {});
    sniff(socket, (isHttp2) => (isHttp2 ? http2 : http).emit("connection", socket));
  });

  /** Closes all connections once no request is running: the rest only wait for a next request. */
  const closeIdle = (): void => {
    if (running > 0) return;
    // The last answer may still be on its way.
    setImmediate(() => {
      if (running > 0) return;
      for (const socket of sockets) socket.end(() => socket.destroy());
    });
  };

  server.maxConnections = options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
  await startListening(server, listen);
  acquired.defer(() => void server.close());
  const bound = server.address();
  if (typeof bound === "object" && bound !== null) reach = isLoopbackAddress(bound.address) ? "machine" : "network";

  const address = "path" in listen ? `unix:${listen.path}` : formatAddress(listen.host, bound);
  let closed: Promise<void> | undefined;
  return {
    address,
    close: () => {
      closed ??= new Promise((resolve) => {
        const timer = setTimeout(() => {
          for (const session of sessions) session.destroy();
          for (const socket of sockets) socket.destroy();
        }, options.closeTimeout ?? 10_000);
        server.close(() => {
          clearTimeout(timer);
          resolve(acquired.dispose());
        });
        closing.abort();
        for (const session of sessions) session.close();
        closeIdle();
      });
      return closed;
    },
  };
}

/**
 * Closes an HTTP/2 connection that has had no request for `timeout` milliseconds. Pings don't
 * count: some clients send them forever.
 *
 * @returns a function that stops the timer
 */
function closeWhenIdle(session: ServerHttp2Session, timeout: number): () => void {
  const start = (): NodeJS.Timeout => setTimeout(() => session.close(), timeout);
  let timer = start();
  let running = 0;
  session.on("stream", (stream) => {
    running++;
    clearTimeout(timer);
    stream.once("close", () => {
      running--;
      if (running === 0 && !session.closed) timer = start();
    });
  });
  return () => clearTimeout(timer);
}

/** Detects HTTP/2 by the first bytes, and puts them back into the socket. */
function sniff(socket: Socket, decide: (isHttp2: boolean) => void): void {
  let seen = Buffer.alloc(0);
  const look = (): void => {
    const bytes: Buffer | null = socket.read();
    if (!bytes) return;
    seen = Buffer.concat([seen, bytes]);
    const start = seen.toString("latin1", 0, HTTP2_PREFACE.length);
    if (start.length < HTTP2_PREFACE.length && HTTP2_PREFACE.startsWith(start)) return;
    socket.off("readable", look);
    socket.setTimeout(0);
    socket.off("timeout", giveUp);
    socket.unshift(seen);
    decide(start === HTTP2_PREFACE);
  };
  const giveUp = (): void => void socket.destroy();
  socket.setTimeout(FIRST_BYTES_TIMEOUT, giveUp);
  socket.on("readable", look);
}

async function startListening(server: Server, listen: ListenAddress): Promise<void> {
  try {
    await tryToListen(server, listen);
  } catch (cause) {
    if ("path" in listen && systemErrorCode(cause) === "EADDRINUSE" && (await isStale(listen.path))) {
      // An earlier daemon was killed, and left its socket.
      await rm(listen.path, { force: true });
      await startListening(server, listen);
      return;
    }
    const where = "path" in listen ? listen.path : `${listen.host}:${listen.port}`;
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("unavailable", `can't listen on ${where}: ${reason}`, { cause });
  }
}

async function tryToListen(server: Server, listen: ListenAddress): Promise<void> {
  server.listen(listen);
  // `once` also rejects if the server emits `error`.
  await once(server, "listening");
}

/** Whether `path` is a Unix socket that no process listens on. */
async function isStale(path: string): Promise<boolean> {
  if (!(await stat(path)).isSocket()) return false;
  const socket = connect(path);
  try {
    await once(socket, "connect");
    return false;
  } catch (error) {
    return systemErrorCode(error) === "ECONNREFUSED";
  } finally {
    socket.destroy();
  }
}

function formatAddress(host: string, bound: ReturnType<Server["address"]>): string {
  if (typeof bound !== "object" || bound === null) throw new StoreError("internal", "the server has no address");
  return `http://${host.includes(":") ? `[${host}]` : host}:${bound.port}`;
}

function accessRequest(request: ServerRequest): Parameters<ReturnType<typeof createAccessCheck>>[0] {
  const { headers, method } = request;
  return {
    method: method ?? "",
    host: headers[":authority"]?.toString() ?? headers.host,
    origin: headers.origin,
    requestedMethod: headers["access-control-request-method"],
    requestedHeaders: headers["access-control-request-headers"],
    fetchSite: headers["sec-fetch-site"]?.toString(),
    fetchDest: headers["sec-fetch-dest"]?.toString(),
  };
}

/** Methods that the answers of both HTTP versions share. Their overloads differ. */
interface PlainAnswer {
  setHeader(name: string, value: string): unknown;
  writeHead(status: number): unknown;
  end(text: string): unknown;
}

function plainAnswer(request: ServerRequest, answer: PlainAnswer, status: number, text?: string): void {
  if (text !== undefined) answer.setHeader("Content-Type", "text/plain; charset=utf-8");
  answer.writeHead(status);
  answer.end(text === undefined ? "" : `${text}\n`);
  request.resume();
}
