import { once } from "node:events";
import { createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Code, createClient } from "@connectrpc/connect";
import { afterEach, expect, test } from "vitest";
import { connectGrpc, type GrpcConnection } from "../../src/node/grpc.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

function connectTo(port: number): GrpcConnection {
  const connection = connectGrpc({ scheme: "grpc+http", url: `http://127.0.0.1:${port}` });
  closing.push(() => connection.close());
  return connection;
}

test("connects on the first call, and is closed with its running calls", async () => {
  const connected: Socket[] = [];
  const server = createServer((socket) => void connected.push(socket.resume().on("error", () => {})));
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => server.close());
  const connection = connectTo((server.address() as AddressInfo).port);
  expect(connected).toEqual([]);
  const call = createClient(BlobService, connection.transport).stat({});
  call.catch(() => {});
  await once(server, "connection");
  const [socket] = connected as [Socket];
  await Promise.all([once(socket, "close"), connection.close()]);
  await expect(call).rejects.toThrow();
});

test("a cancelled upload is reset, and not ended before", async () => {
  const server = createHttp2Server();
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => server.close());
  const { transport } = connectTo((server.address() as AddressInfo).port);
  const controller = new AbortController();
  const upload = async function* () {
    yield { data: new Uint8Array(10) };
    await new Promise(() => {});
  };
  const call = createClient(BlobService, transport).put(upload(), { signal: controller.signal });
  const [stream] = (await once(server, "stream")) as [ServerHttp2Stream];
  const seen: string[] = [];
  for (const event of ["end", "aborted"]) stream.on(event, () => seen.push(event));
  stream.on("error", () => {}).resume();
  await once(stream, "data");
  controller.abort();
  await expect(call).rejects.toMatchObject({ code: Code.Canceled });
  await new Promise((resolve) => stream.once("close", resolve));
  expect(seen).toEqual(["aborted"]);
});

test("a call that is cancelled after its whole request is reset too", async () => {
  const server = createHttp2Server();
  await once(server.listen(0, "127.0.0.1"), "listening");
  closing.push(() => server.close());
  const { transport } = connectTo((server.address() as AddressInfo).port);
  const controller = new AbortController();
  const call = createClient(BlobService, transport).stat({}, { signal: controller.signal });
  const [stream] = (await once(server, "stream")) as [ServerHttp2Stream];
  stream.on("error", () => {}).resume();
  await once(stream, "end");
  controller.abort();
  await expect(call).rejects.toMatchObject({ code: Code.Canceled });
  await new Promise((resolve) => stream.once("close", resolve));
  expect(stream.rstCode).toBe(8);
});
