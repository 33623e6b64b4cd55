import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect as connectHttp2 } from "node:http2";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type RunningServer, startServer } from "../../../src/node/server.ts";
import { BlobService } from "../../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

const PUT = "/tvix.castore.v1.BlobService/Put";

let server: RunningServer;
let closing: AbortSignal;
/** Called with the code of each upload that failed, or `undefined` if the whole upload came. */
let ended: (code: Code | undefined) => void;
let sizes: number[];
beforeEach(async () => {
  ended = () => {};
  sizes = [];
  server = await startServer(
    { host: "127.0.0.1", port: 0 },
    {
      routes: (router, signal) => {
        closing = signal;
        router.rpc(BlobService.method.put, async (request) => {
          try {
            for await (const { data } of request) sizes.push(data.length);
            ended(undefined);
          } catch (error) {
            ended(ConnectError.from(error).code);
          }
          return { digest: Uint8Array.of(1) };
        });
      },
      fallback: (_, answer) => answer.writeHead(418).end(),
    },
  );
});
afterEach(() => server.close());

/** Frames a message of gRPC with the given bytes as the blob's data. */
function message(data: Uint8Array): Uint8Array {
  const field = Buffer.from([0x0a, data.length, ...data]);
  return Buffer.concat([Buffer.from([0, 0, 0, 0, field.length]), field]);
}

test.each(["application/grpc", "application/grpc+proto", "application/grpc-web+proto"])(
  "a call of type %s to an unknown method is answered with UNIMPLEMENTED",
  async (type) => {
    const answer = await fetch(`${server.address}/no.Such/Method`, { method: "POST", headers: { "content-type": type } });
    expect(answer.status).toBe(200);
    expect(answer.headers.get("grpc-status")).toBe(String(Code.Unimplemented));
    expect(answer.headers.get("content-type")).toBe(type);
  },
);

test("other requests are left to the fallback, also those to an unknown method of Connect", async () => {
  const post = (type: string) => fetch(`${server.address}/no.Such/Method`, { method: "POST", headers: { "content-type": type } });
  expect((await post("application/json")).status).toBe(418);
  expect((await fetch(`${server.address}/`)).status).toBe(418);
});

test("a query does not hide a call", async () => {
  const response = await fetch(`${server.address}${PUT}?x=1`, {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto" },
    body: message(new Uint8Array(3)) as Uint8Array<ArrayBuffer>,
  });
  expect([response.status, sizes]).toEqual([200, [3]]);
});

test("deeply nested values in JSON are refused", async () => {
  const codes: (Code | undefined)[] = [];
  ended = (code) => codes.push(code);
  const text = Buffer.from("[".repeat(101));
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(text.length, 1);
  const headers = { "content-type": "application/connect+json" };
  await (await fetch(`${server.address}${PUT}`, { method: "POST", headers, body: Buffer.concat([prefix, text]) })).text();
  expect([codes, sizes]).toEqual([[Code.InvalidArgument], []]);
});

test("a message of more than 8 MiB is refused", async () => {
  const session = new Http2SessionManager(server.address);
  const client = createClient(BlobService, createGrpcTransport({ baseUrl: server.address, sessionManager: session }));
  const put = (length: number) =>
    client.put(
      (async function* () {
        yield { data: new Uint8Array(length) };
      })(),
    );
  const limit = 8 * 1024 * 1024;
  let code: Code | undefined;
  ended = (ending) => {
    code = ending;
  };
  // The field's number and length take five bytes.
  await put(limit - 5);
  expect([sizes, code]).toEqual([[limit - 5], undefined]);
  await put(limit - 4);
  expect([sizes.length, code]).toEqual([1, Code.ResourceExhausted]);
  session.abort();
});

describe("an upload that its client ends early is cancelled", () => {
  test("over HTTP/1", async () => {
    const code = new Promise((resolve) => {
      ended = resolve;
    });
    const socket = connect(Number(new URL(server.address).port), "127.0.0.1");
    const head = `POST ${PUT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/grpc-web+proto\r\nContent-Length: 1000\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(head), message(new Uint8Array(3))]));
    await expect.poll(() => sizes).toEqual([3]);
    socket.destroy();
    expect(await code).toBe(Code.Canceled);
  });

  test("over HTTP/2", async () => {
    const code = new Promise((resolve) => {
      ended = resolve;
    });
    const session = connectHttp2(server.address);
    const stream = session.request({ ":method": "POST", ":path": PUT, "content-type": "application/grpc+proto", te: "trailers" });
    stream.on("error", () => {});
    stream.write(message(new Uint8Array(3)));
    await expect.poll(() => sizes).toEqual([3]);
    // Unlike `close`, this doesn't end the request before it resets it.
    stream.destroy();
    expect(await code).toBe(Code.Canceled);
    session.destroy();
  });
});

test("routes get the signal that the server begins to close", async () => {
  expect(closing.aborted).toBe(false);
  await server.close();
  expect(closing.aborted).toBe(true);
});

test.each(["Host: %", "X: y"])("a call with the header %j is refused", async (header) => {
  const dir = await mkdtemp(join(tmpdir(), "tvix-listener-"));
  const here = await startServer({ path: join(dir, "socket") }, { routes: (router) => router.service(BlobService, {}) });
  const socket = connect(join(dir, "socket"));
  const version = header.startsWith("Host") ? "1.1" : "1.0";
  socket.write(`POST ${PUT} HTTP/${version}\r\n${header}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`);
  const [answer] = await once(socket, "data");
  expect(String(answer)).toMatch(/^HTTP\/1\.1 400 /);
  socket.destroy();
  await here.close();
  await rm(dir, { recursive: true });
});
