import { createHook } from "node:async_hooks";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { rpcRoutes } from "../../src/node/rpc/routes.ts";
import { type ListenAddress, type RunningServer, type ServerOptions, startServer } from "../../src/node/server.ts";
import { calculateNar } from "../../src/store/nar.ts";
import { Health } from "../../src/wire/gen/grpc/health/v1/health_pb.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of running.splice(0).reverse()) await one.close();
});

async function start(options: Partial<ServerOptions> = {}, listen: ListenAddress = { host: "127.0.0.1", port: 0 }) {
  const store = createMemoryStore();
  const engine = new InlineHashEngine();
  const routes = rpcRoutes(store, { calculateNar: (node) => calculateNar(store, engine, node) });
  const server = await startServer(listen, { routes, ...options });
  running.push(server);
  return server;
}

function grpc(server: RunningServer) {
  const session = new Http2SessionManager(server.address);
  running.push({ close: async () => session.abort() });
  return createGrpcTransport({ baseUrl: server.address, sessionManager: session });
}

/** A promise that a test resolves. */
class Deferred {
  resolve: () => void = () => {};
  readonly promise = new Promise<void>((resolve) => {
    this.resolve = resolve;
  });
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
}

/** Sends a request with headers that `fetch` does not allow. */
async function ask(server: RunningServer, headers: Record<string, string>, method = "GET", path = "/"): Promise<Answer> {
  const request = httpRequest(server.address + path, { method, headers });
  request.end();
  const [response] = await once(request, "response");
  let text = "";
  for await (const piece of response) text += piece;
  return { status: response.statusCode, headers: response.headers, text };
}

async function askHttp2(server: RunningServer, headers: Record<string, string>): Promise<number> {
  const session = connectHttp2(server.address);
  try {
    const stream = session.request({ ":path": "/", ...headers });
    const [response] = await once(stream, "response");
    stream.resume();
    return response[":status"];
  } finally {
    session.close();
  }
}

describe("the access rules apply over both versions of HTTP", () => {
  test("to the Host header, if the server listens on a port", async () => {
    const server = await start({ allowHosts: ["store.example.org"] });
    for (const [host, status] of [
      ["localhost:1", 404],
      ["store.example.org:1", 404],
      ["example.org", 403],
    ] as const) {
      expect((await ask(server, { host })).status).toBe(status);
      expect(await askHttp2(server, { ":authority": host })).toBe(status);
    }
    const open = await start({}, { host: "0.0.0.0", port: 0 });
    expect((await ask(open, { host: "example.org" })).status).toBe(403);
    expect((await ask(open, { host: "192.0.2.1" })).status).toBe(404);
  });

  test("to the origin of a page", async () => {
    let passedOn = 0;
    const fallback: ServerOptions["fallback"] = (_, answer) => {
      passedOn++;
      answer.writeHead(200).end();
    };
    const server = await start({ allowOrigins: ["https://viewer.example.org"], fallback });
    const [allowed, other] = ["https://viewer.example.org", "https://example.org"];
    expect(await ask(server, { origin: allowed })).toMatchObject({
      status: 200,
      headers: { "access-control-allow-origin": allowed, vary: "Origin, Sec-Fetch-Site" },
    });
    expect(await askHttp2(server, { origin: allowed })).toBe(200);
    const preflight = { "access-control-request-method": "POST", "access-control-request-headers": "x-grpc-web" };
    expect(await ask(server, { origin: allowed, ...preflight }, "OPTIONS")).toMatchObject({
      status: 204,
      headers: { "access-control-allow-methods": expect.stringContaining("POST"), "access-control-allow-headers": "x-grpc-web" },
    });
    expect(passedOn).toBe(2);
    const refused = await ask(server, { origin: other });
    expect(refused).toMatchObject({ status: 403, text: expect.stringMatching(/^[^\n]+\n$/) });
    expect(refused.headers["access-control-allow-origin"]).toBeUndefined();
    expect(await askHttp2(server, { origin: other })).toBe(403);
    expect((await ask(server, { origin: other, ...preflight }, "OPTIONS")).status).toBe(403);
    expect(passedOn).toBe(2);
  });
});

describe("one port", () => {
  test("passes requests that are no calls to the fallback, over both versions of HTTP", async () => {
    const server = await start({
      fallback: (request, answer) => {
        answer.setHeader("x-version", request.httpVersion);
        answer.writeHead(200);
        answer.end("hello");
      },
    });
    expect(await ask(server, {})).toMatchObject({ status: 200, text: "hello", headers: { "x-version": "1.1" } });
    expect(await askHttp2(server, {})).toBe(200);
  });

  test("recognises HTTP/2 by its first bytes, however they are split", async () => {
    const server = await start();
    const { port } = new URL(server.address);
    const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const settings = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);
    const socket = connect(Number(port), "127.0.0.1");
    socket.setNoDelay(true);
    for (const byte of Buffer.concat([Buffer.from(preface), settings])) {
      socket.write(Buffer.of(byte));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const [answer] = await once(socket, "data");
    // A SETTINGS frame has type 4 in its fourth byte.
    expect(answer[3]).toBe(4);
    socket.destroy();

    const post = connect(Number(port), "127.0.0.1");
    post.write("P");
    await new Promise((resolve) => setTimeout(resolve, 10));
    post.write("OST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
    expect(String((await once(post, "data"))[0])).toMatch(/^HTTP\/1\.1 404/);
    post.destroy();
  });

  test("limits the time for a request's head, but not for its body", async () => {
    const server = await start({
      headersTimeout: 200,
      fallback: (request, answer) => void request.resume().on("end", () => answer.end("done")),
    });
    const { port } = new URL(server.address);
    const open = (head: string) => {
      const socket = connect(Number(port), "127.0.0.1");
      socket.write(head);
      return socket;
    };
    const slow = open("GET / HTTP/1.1\r\nHost: localhost\r\n");
    const dripping = setInterval(() => slow.write("X-Drip: drop\r\n"), 50);
    const uploading = open("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\n");
    try {
      const [refusal] = await once(slow, "data");
      expect(String(refusal)).toContain("HTTP/1.1 408");
      clearInterval(dripping);
      await once(slow, "close");
      uploading.write("x");
      const [answer] = await once(uploading, "data");
      expect(String(answer)).toContain("HTTP/1.1 200");
    } finally {
      clearInterval(dripping);
      slow.destroy();
      uploading.destroy();
    }
  });

  test("can be a Unix socket", async () => {
    const directory = await mkdtemp(join(tmpdir(), "tvix-store-web-"));
    try {
      const path = join(directory, "socket");
      const server = await start({}, { path });
      expect(server.address).toBe(`unix:${path}`);
      const request = httpRequest({ socketPath: path, path: "/", headers: { host: "whatever" } });
      request.end();
      const [response] = await once(request, "response");
      expect(response.statusCode).toBe(404);
      response.resume();
      await server.close();
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe("closing", () => {
  test("finishes running calls, and accepts no new ones", async () => {
    const begun = new Deferred();
    const isClosing = new Deferred();
    const routes: ServerOptions["routes"] = (router) => {
      router.rpc(BlobService.method.put, async (request) => {
        let pieces = 0;
        for await (const _ of request) {
          pieces++;
          begun.resolve();
        }
        return { digest: Uint8Array.of(pieces) };
      });
    };
    const server = await start({ routes });
    const put = createClient(BlobService, grpc(server)).put(
      (async function* () {
        yield { data: Uint8Array.of(1) };
        await isClosing.promise;
        yield { data: Uint8Array.of(2) };
      })(),
    );
    await begun.promise;
    const closed = server.close();
    await expect(ask(server, {})).rejects.toThrow();
    isClosing.resolve();
    expect((await put).digest).toEqual(Uint8Array.of(2));
    await closed;
  });

  // If it waited, the server would close only after the time that the test may take.
  test("does not wait for idle connections", { timeout: 20_000 }, async () => {
    const server = await start({ closeTimeout: 600_000 });
    const { port } = new URL(server.address);
    const silent = connect(Number(port), "127.0.0.1");
    const idle = connect(Number(port), "127.0.0.1");
    idle.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await once(idle, "data");
    await createClient(Health, grpc(server)).check({});
    await server.close();
    silent.destroy();
    idle.destroy();
  });

  test("cancels calls that take too long", async () => {
    const begun = new Deferred();
    const server = await start({ closeTimeout: 100, fallback: () => begun.resolve() });
    const hanging = ask(server, {});
    hanging.catch(() => {});
    await begun.promise;
    await server.close();
    await expect(hanging).rejects.toThrow();
  });
});

describe("a server that can't start", () => {
  test.each<[string, (port: number) => ListenAddress]>([
    ["a port that is in use", (port) => ({ host: "127.0.0.1", port })],
    ["another machine's address", () => ({ host: "192.0.2.1", port: 0 })],
    ["a socket in a missing directory", () => ({ path: "/nowhere/at-all/socket" })],
  ])("leaves no timers and no sockets: %s", async (_, listen) => {
    const first = await start();
    const timers = watchTimers();
    const failing = start({}, listen(Number(new URL(first.address).port)));
    timers.ignoreLater();
    await expect(failing).rejects.toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(await timers.running()).toBe(0);
    expect((await ask(first, {})).status).toBe(404);
  });

  test("leaves no timers and no sockets: an origin of a wrong form", async () => {
    const timers = watchTimers();
    const failing = start({ allowOrigins: ["viewer.example.org"] });
    timers.ignoreLater();
    await expect(failing).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    expect(await timers.running()).toBe(0);
  });
});

test("a server that is closed leaves no timers, and its address is free", async () => {
  const timers = watchTimers();
  const starting = start();
  timers.ignoreLater();
  const server = await starting;
  expect(await timers.running()).toBeGreaterThan(0);
  await Promise.all([server.close(), server.close()]);
  expect(await timers.running()).toBe(0);
  const { port } = new URL(server.address);
  await start({}, { host: "127.0.0.1", port: Number(port) });
});

/**
 * Counts the timers that are created from now on until `ignoreLater`, also those that Node creates
 * itself.
 */
function watchTimers() {
  const timers = new Set<number>();
  let isWatching = true;
  const hook = createHook({
    init(id, type) {
      if (isWatching && type === "Timeout") timers.add(id);
    },
    destroy: (id) => void timers.delete(id),
  }).enable();
  running.push({ close: async () => void hook.disable() });
  return {
    ignoreLater: () => {
      isWatching = false;
    },
    async running(): Promise<number> {
      // Node reports ended timers in a later turn.
      await new Promise((resolve) => setImmediate(resolve));
      return timers.size;
    },
  };
}

describe("the file of a Unix socket", () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), "tvix-socket-"));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));

  test("is replaced if nobody listens there any more", async () => {
    const path = join(dir, "socket");
    const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
    await once(spawn(process.execPath, ["-e", script]), "exit");
    expect((await stat(path)).isSocket()).toBe(true);
    const server = await start({}, { path });
    expect(server.address).toBe(`unix:${path}`);
  });

  test("is kept if somebody listens there, or if it is another file", async () => {
    const [path, file] = [join(dir, "socket"), join(dir, "file")];
    await start({}, { path });
    await expect(start({}, { path })).rejects.toMatchObject({ code: "unavailable" });
    await writeFile(file, "content");
    await expect(start({}, { path: file })).rejects.toMatchObject({ code: "unavailable" });
    expect(await readFile(file, "utf8")).toBe("content");
  });
});

describe("limits", () => {
  test("at most 128 requests run at once on a connection", async () => {
    const server = await start();
    const session = connectHttp2(server.address);
    const [settings] = await once(session, "remoteSettings");
    expect(settings.maxConcurrentStreams).toBe(128);
    session.destroy();
  });

  test("further connections than the limit are closed", async () => {
    const server = await start({ maxConnections: 2 });
    const port = Number(new URL(server.address).port);
    const sockets = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
    for (const socket of sockets) await once(socket, "connect");
    const third = connect(port, "127.0.0.1");
    await once(third, "close");
    for (const socket of sockets) socket.destroy();
  });

  test("an HTTP/2 connection without requests is closed, and one with a running request is not", async () => {
    let finish = (): void => {};
    const server = await start({
      idleTimeout: 20,
      fallback: (_, answer) => {
        finish = () => void answer.writeHead(200).end();
      },
    });
    const idle = connectHttp2(server.address);
    await once(idle, "close");
    const session = connectHttp2(server.address);
    let isClosed = false;
    session.on("close", () => {
      isClosed = true;
    });
    const stream = session.request({ ":path": "/slow" });
    stream.resume();
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect(isClosed).toBe(false);
    finish();
    await once(stream, "close");
    await once(session, "close");
  });
});
