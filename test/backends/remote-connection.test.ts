import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { afterEach, describe, expect, test, vi } from "vitest";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { QUESTION_TIMEOUT, RemoteConnection } from "../../src/backends/remote-connection.ts";
import { utf8 } from "../../src/bytes.ts";
import { StoreError } from "../../src/error.ts";
import { startServer } from "../../src/node/server.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { BlobService as SnixBlobService } from "../../src/wire/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { watchedSignal } from "../thread/watched-signal.ts";
import { codeOf, content, digest, drain, notFound, remoteOf } from "./peer.ts";

afterEach(() => {
  vi.useRealTimers();
});

function connectionTo(routes: (router: ConnectRouter) => void, family?: "tvix" | "snix"): RemoteConnection {
  return new RemoteConnection(createRouterTransport(routes), "a peer", family);
}

describe("finding out which names a peer uses", () => {
  test("tries snix's names if tvix's are not implemented", async () => {
    const { blobs } = remoteOf((router) => router.service(SnixBlobService, { stat: () => ({}) }), "auto");
    expect(await blobs.stat([digest])).toEqual([{ chunks: [] }]);
  });

  test("accepts NOT_FOUND as an answer", async () => {
    const { blobs } = remoteOf((router) => router.service(BlobService, { stat: notFound }), "auto");
    expect(await blobs.stat([digest])).toEqual([undefined]);
  });

  test("tries again after a failure", async () => {
    let calls = 0;
    const { blobs } = remoteOf(
      (router) =>
        router.service(BlobService, {
          stat: () => {
            if (calls++ === 0) throw new ConnectError("starting", Code.Unavailable);
            return {};
          },
        }),
      "auto",
    );
    expect(await codeOf(blobs.stat([digest]))).toBe("unavailable");
    expect(await blobs.stat([digest])).toEqual([{ chunks: [] }]);
  });

  test("prefers tvix's names, and asks nothing if the names are given", async () => {
    const both = (router: ConnectRouter) => {
      router.service(SnixBlobService, { stat: () => ({}) });
      router.service(BlobService, { stat: () => ({}) });
    };
    expect(await connectionTo(both).family()).toBe("tvix");
    expect(await connectionTo(() => {}, "snix").family()).toBe("snix");
    expect(await codeOf(connectionTo(() => {}).family())).toBe("unavailable");
    const refusing = connectionTo((router) =>
      router.service(BlobService, {
        stat: () => {
          throw new ConnectError("no", Code.PermissionDenied);
        },
      }),
    );
    expect(await codeOf(refusing.family())).toBe("denied");
  });

  test("asks once for all callers, and one that aborts does not stop the others", async () => {
    let calls = 0;
    const connection = connectionTo((router) =>
      router.service(BlobService, {
        stat: async () => {
          calls++;
          await new Promise((resolve) => setImmediate(resolve));
          return {};
        },
      }),
    );
    const controller = new AbortController();
    const impatient = connection.call("asking", controller.signal, async () => 1);
    const patient = connection.call("asking", undefined, async () => 2);
    controller.abort("enough");
    await expect(impatient).rejects.toBe("enough");
    expect([await patient, calls]).toEqual([2, 1]);
  });

  test("ends after some time", async () => {
    vi.useFakeTimers();
    const silent = connectionTo((router) => router.service(BlobService, { stat: () => new Promise(() => {}) }));
    let isOver = false;
    const code = codeOf(silent.family()).finally(() => {
      isOver = true;
    });
    await vi.advanceTimersByTimeAsync(QUESTION_TIMEOUT - 1);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await code).toBe("unavailable");
  });
});

describe("a call", () => {
  const connection = connectionTo(() => {}, "tvix");

  test("blames the remote for an answer that breaks a rule, and keeps other errors", async () => {
    const failing = (error: unknown) => codeOf(connection.call("asking", undefined, () => Promise.reject(error)));
    expect(await failing(new StoreError("invalid", "x"))).toBe("corrupt");
    // The remote says that the request is invalid.
    expect(await failing(new ConnectError("x", Code.InvalidArgument, { a: "b" }))).toBe("invalid");
    expect(await failing(new StoreError("denied", "x"))).toBe("denied");
  });

  test("hears of an abort, and leaves no listener", async () => {
    const { controller, signal, listeners } = watchedSignal();
    await connection.call("asking", signal, async () => 1);
    for await (const _ of connection.stream("asking", signal, async function* () {
      yield 1;
    }));
    expect(listeners()).toBe(0);
    let seen: AbortSignal | undefined;
    const call = connection.call("asking", signal, (_, own) => {
      seen = own;
      return new Promise((_, reject) => own.addEventListener("abort", () => reject(new Error("other"))));
    });
    await expect.poll(() => seen).toBeDefined();
    controller.abort("enough");
    await expect(call).rejects.toBe("enough");
    expect(listeners()).toBe(0);
  });

  test("that is aborted before is not made", async () => {
    const run = vi.fn();
    await expect(connection.call("asking", AbortSignal.abort("enough"), run)).rejects.toBe("enough");
    await expect(connection.stream("asking", AbortSignal.abort("enough"), run).next()).rejects.toBe("enough");
    expect(run).not.toHaveBeenCalled();
  });
});

describe("a stream of messages", () => {
  const connection = connectionTo(() => {}, "tvix");

  test("ends its call if it is left early", async () => {
    let seen: AbortSignal | undefined;
    for await (const _ of connection.stream("asking", undefined, async function* (_, signal) {
      seen = signal;
      for (;;) yield 1;
    }))
      break;
    expect(seen?.aborted).toBe(true);
  });

  test("gives no message after an abort, even if all have arrived", async () => {
    const controller = new AbortController();
    const messages = connection.stream("asking", controller.signal, async function* () {
      yield* [1, 2];
    });
    expect((await messages.next()).value).toBe(1);
    controller.abort("enough");
    await expect(messages.next()).rejects.toBe("enough");
  });

  test("may have a thousand empty pieces in a row, and no more", async () => {
    const pieces = (empty: number) =>
      connection.streamBytes("asking", undefined, async function* () {
        for (let round = 0; round < 2; round++) {
          for (let i = 0; i < empty; i++) yield new Uint8Array(0);
          yield utf8("x");
        }
      });
    expect(await drain(pieces(1000))).toEqual([utf8("x"), utf8("x")]);
    expect(await codeOf(drain(pieces(1001)))).toBe("corrupt");
  });
});

describe("a remote store", () => {
  test("that can't be reached is unavailable", async () => {
    const gone = await startServer({ host: "127.0.0.1", port: 0 }, { routes: () => {} });
    await gone.close();
    for (const transport of [
      createGrpcTransport({ baseUrl: gone.address }),
      createBrowserTransport({ baseUrl: gone.address, protocol: "connect" }),
    ]) {
      const remote = connectRemoteStore(transport, { name: gone.address });
      expect(await codeOf(remote.blobs.stat([digest]))).toBe("unavailable");
      expect(await codeOf(remote.blobs.putMany([content]))).toBe("unavailable");
    }
  });

  test("without these services is unavailable", async () => {
    const other = await startServer({ host: "127.0.0.1", port: 0 }, { routes: () => {} });
    try {
      for (const transport of [
        createGrpcTransport({ baseUrl: other.address }),
        createBrowserTransport({ baseUrl: other.address, protocol: "connect" }),
        createBrowserTransport({ baseUrl: other.address, protocol: "grpc-web" }),
      ]) {
        expect(await codeOf(connectRemoteStore(transport, { name: "o" }).blobs.stat([digest]))).toBe("unavailable");
      }
    } finally {
      await other.close();
    }
  });
});

describe("a peer that stops in the middle, or sends nonsense", () => {
  async function answering(type: string, body: Uint8Array): Promise<{ remote: RemoteStore; close: () => void }> {
    const server = createServer((_, response) => {
      response.writeHead(200, { "content-type": type });
      response.end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const protocol = type.includes("grpc") ? "grpc-web" : "connect";
    const remote = connectRemoteStore(createBrowserTransport({ baseUrl, protocol }), { name: baseUrl, dialect: "tvix" });
    return { remote, close: () => void server.close() };
  }

  const message = Uint8Array.of(0, 0, 0, 0, 9, 10, 7, ...content);
  test.each([
    ["a Connect stream without its end", "application/connect+proto", message, "unavailable"],
    ["half a Connect message", "application/connect+proto", message.subarray(0, 8), "unavailable"],
    ["a Connect message of 4 GiB", "application/connect+proto", Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1), "corrupt"],
    ["no Connect message", "application/connect+proto", new Uint8Array(0), "unavailable"],
    ["gRPC-Web without trailers", "application/grpc-web+proto", message, "unavailable"],
    ["a gRPC-Web message of 4 GiB", "application/grpc-web+proto", Uint8Array.of(0, 0xff, 0xff, 0xff, 0xff, 1), "corrupt"],
    ["a page", "text/html", utf8("<h1>hello</h1>"), "unavailable"],
  ])("%s", async (_what, type, body, code) => {
    const { remote, close } = await answering(type, body);
    try {
      const reading = async () => drain(await remote.blobs.open(digest));
      expect(await codeOf(reading())).toBe(code);
      expect(await codeOf(remote.directories.getClosure(digest).then(drain))).toBe(code);
    } finally {
      close();
    }
  });
});
