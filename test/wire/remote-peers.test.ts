import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { utf8 } from "../../src/bytes.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import { isStoreError } from "../../src/error.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { iterate } from "../../src/stream.ts";
import { directoryToMessage } from "../../src/wire/directory-message.ts";
import { BlobService as SnixBlobService } from "../../src/wire/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService } from "../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService } from "../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { BlobSliceService } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { pathInfoToTvix } from "../../src/wire/path-info-message.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";

/** Servers that answer differently from ours: as stock daemons do, and as hostile ones could. */

function remoteOf(routes: (router: ConnectRouter) => void, dialect: "auto" | "tvix" | "snix" = "tvix"): RemoteStore {
  return connectRemoteStore(createRouterTransport(routes), { name: "a peer", dialect });
}

async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    if (isStoreError(error)) return error.code;
    throw error;
  }
  return undefined;
}

async function drain<T>(items: AsyncIterable<T> | ReadableStream<T> | undefined): Promise<T[]> {
  if (!items) throw new Error("it is missing");
  const all: T[] = [];
  for await (const item of items instanceof ReadableStream ? iterate(items) : items) all.push(item);
  return all;
}

const content = utf8("content");
const digest = digestOf(content);
const notFound = (): never => {
  throw new ConnectError("missing", Code.NotFound);
};

describe("blobs of a peer", () => {
  const sending = (pieces: () => Iterable<Uint8Array>) =>
    remoteOf((router) =>
      router.service(BlobService, {
        stat: () => ({}),
        async *read() {
          for (const data of pieces()) yield { data };
        },
      }),
    );

  test("with a different digest are corrupt, and their last piece is withheld", async () => {
    const { blobs } = sending(() => [utf8("con"), utf8("tenT")]);
    const stream = await blobs.open(digest);
    const got: Uint8Array[] = [];
    const reading = (async () => {
      for await (const piece of iterate(stream as ReadableStream<Uint8Array>)) got.push(piece);
    })();
    expect(await codeOf(reading)).toBe("corrupt");
    expect(got).toEqual([utf8("con")]);
    expect(await codeOf(blobs.readMany([digest]))).toBe("corrupt");
  });

  test("are corrupt in a range that is right by itself", async () => {
    const { blobs } = sending(() => [utf8("con"), utf8("tenT")]);
    expect(await codeOf(blobs.open(digest, { offset: 0, length: 3 }))).toBe("corrupt");
  });

  test("may come in any pieces, including empty ones", async () => {
    const { blobs } = sending(() => [utf8(""), utf8("c"), utf8(""), utf8("ontent")]);
    expect(await drain(await blobs.open(digest))).toEqual([utf8("c"), utf8("ontent")]);
    expect(await blobs.readMany([digest])).toEqual([content]);
  });

  test("without an end are not read to the end", async () => {
    const endless = function* (piece: Uint8Array) {
      for (;;) yield piece;
    };
    expect(await codeOf(sending(() => endless(new Uint8Array(0))).blobs.readMany([digest]))).toBe("corrupt");
    expect(await codeOf(sending(() => endless(new Uint8Array(65536))).blobs.readMany([digest]))).toBe("corrupt");
    // A stream is read as far as its reader requests.
    const stream = await sending(() => endless(new Uint8Array(65536))).blobs.open(digest);
    const reader = (stream as ReadableStream<Uint8Array>).getReader();
    expect((await reader.read()).value).toHaveLength(65536);
    await reader.cancel();
  });

  test("that are slices without an end are not read to the end", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobSliceService, {
        async *readSlice() {
          for (;;) yield { data: new Uint8Array(0) };
        },
      }),
    );
    expect(await codeOf(blobs.open(digest, { offset: 1, length: 1 }))).toBe("corrupt");
  });

  test("with invalid chunk lists are corrupt", async () => {
    for (const chunk of [
      { digest: new Uint8Array(31), size: 1n },
      { digest, size: 0n },
      { digest, size: 2n ** 60n },
    ]) {
      const { blobs } = remoteOf((router) => router.service(BlobService, { stat: () => ({ chunks: [chunk] }) }));
      expect(await codeOf(blobs.stat([digest]))).toBe("corrupt");
    }
  });

  test("that it stored under a different digest are an error", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        async put(request) {
          for await (const _ of request);
          return { digest: EMPTY_DIGEST };
        },
      }),
    );
    expect(await codeOf(blobs.putMany([content]))).toBe("corrupt");
    const writer = await blobs.create();
    await writer.write(content);
    expect(await codeOf(writer.close())).toBe("corrupt");
  });

  test("that it refuses fail with its error, not with that of a broken stream", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        async put(request) {
          for await (const _ of request) throw new ConnectError("full", Code.ResourceExhausted);
          return {};
        },
      }),
    );
    const writer = await blobs.create();
    const writing = async () => {
      for (let i = 0; i < 100; i++) await writer.write(new Uint8Array(100_000));
      await writer.close();
    };
    expect(await codeOf(writing())).toBe("quota");
    expect(await codeOf(writer.write(content))).toBe("quota");
  });
});

describe("directories of a peer", () => {
  const leaf = makeDirectory([{ name: utf8("file"), node: { kind: "file", digest, size: 7n, executable: false } }]);
  const other = makeDirectory([{ name: utf8("other"), node: { kind: "symlink", target: utf8("t") } }]);
  const root = makeDirectory([{ name: utf8("leaf"), node: directoryNode(leaf, "documented") }]);
  const rootDigest = directoryDigest(root);

  const sending = (...directories: (typeof leaf)[]) =>
    remoteOf((router) =>
      router.service(DirectoryService, {
        async *get() {
          for (const directory of directories) yield directoryToMessage(directory);
        },
      }),
    ).directories;

  test("are missing if the stream is empty, as on snix", async () => {
    expect(await sending().get(rootDigest)).toBeUndefined();
    expect(await sending().getClosure(rootDigest)).toBeUndefined();
  });

  test("are missing if a recursive Get fails with INTERNAL and a plain one with NOT_FOUND, as on tvix's first version", async () => {
    const answering = (plain: () => never) =>
      remoteOf((router) =>
        router.service(DirectoryService, {
          // biome-ignore lint/correctness/useYield: it never gets there
          async *get({ recursive }) {
            if (recursive) throw new ConnectError("oh", Code.Internal);
            plain();
          },
        }),
      ).directories;
    expect(await answering(notFound).getClosure(rootDigest)).toBeUndefined();
    const broken = answering(() => {
      throw new ConnectError("still", Code.DataLoss);
    });
    expect(await codeOf(broken.getClosure(rootDigest))).toBe("corrupt");
  });

  test("must be the requested ones, in order, once, and complete", async () => {
    expect(await codeOf(sending(other).get(rootDigest))).toBe("corrupt");
    expect(await codeOf(sending(root, leaf).get(rootDigest))).toBe("corrupt");
    const closures = {
      other: [other],
      leafFirst: [leaf, root],
      twice: [root, root, leaf],
      more: [root, leaf, other],
      less: [root],
    };
    for (const [what, directories] of Object.entries(closures)) {
      const closure = await sending(...directories).getClosure(rootDigest);
      expect([what, await codeOf(drain(closure))]).toEqual([what, "corrupt"]);
    }
    expect(await drain(await sending(root, leaf).getClosure(rootDigest))).toEqual([root, leaf]);
  });

  test("must follow the rules of a Directory", async () => {
    const { directories } = remoteOf((router) =>
      router.service(DirectoryService, {
        async *get() {
          yield { symlinks: [{ name: utf8(".."), target: utf8("t") }] };
        },
      }),
    );
    expect(await codeOf(directories.get(rootDigest))).toBe("corrupt");
    expect(await codeOf(directories.getClosure(rootDigest))).toBe("corrupt");
  });

  test("are invalid if the peer refuses them, in either of two ways", async () => {
    for (const code of [Code.InvalidArgument, Code.Internal]) {
      const { directories } = remoteOf((router) =>
        router.service(DirectoryService, {
          async put() {
            throw new ConnectError("size", code);
          },
        }),
      );
      expect(await codeOf(directories.put([leaf, root]))).toBe("invalid");
    }
  });
});

describe("path infos of a peer", () => {
  const info: PathInfo = {
    storePath: "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-thing",
    node: { kind: "symlink", target: utf8("t") },
    narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    narSize: 120,
    references: [],
    signatures: [],
  };

  test("must belong to the requested path", async () => {
    const { pathInfos } = remoteOf((router) => router.service(PathInfoService, { get: () => pathInfoToTvix(info) }));
    expect(await pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toEqual(info);
    expect(await codeOf(pathInfos.get("1b9p07z77phvv2hf6gm9f28syp39f1ag"))).toBe("corrupt");
  });

  test("without narinfo are completed by further calls", async () => {
    const references = ["00bgd045z0d4icpbc2yyz4gx48ak44la-thing", "1b9p07z77phvv2hf6gm9f28syp39f1ag-other"];
    const message = pathInfoToTvix({ ...info, references });
    const other = pathInfoToTvix({ ...info, storePath: "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-other" });
    let asked = 0;
    const { pathInfos } = remoteOf((router) =>
      router.service(PathInfoService, {
        get: () => (asked++ === 0 ? { node: message.node, references: message.references } : other),
        calculateNAR: () => ({ narSize: 120n, narSha256: message.narinfo?.narSha256 ?? new Uint8Array() }),
      }),
    );
    expect(await pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toEqual({ ...info, references });
  });

  test("that break a rule are corrupt", async () => {
    const { pathInfos } = remoteOf((router) =>
      router.service(PathInfoService, {
        async *list() {
          const node = { node: { case: "symlink", value: { name: utf8("x"), target: utf8("t") } } } as const;
          yield { narinfo: pathInfoToTvix(info).narinfo, node };
        },
      }),
    );
    expect(await codeOf(drain(pathInfos.list()))).toBe("corrupt");
  });
});

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
