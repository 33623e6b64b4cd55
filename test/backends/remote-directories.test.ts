import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../src/castore/directory-codec.ts";
import { directoryFromMessage, directoryToMessage, MAX_DIRECTORY_MESSAGE } from "../../src/wire/directory-message.ts";
import { DirectoryService } from "../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { codeOf, digest, drain, notFound, remoteOf } from "./peer.ts";

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

  test("include the empty one, without a call", async () => {
    const { directories } = remoteOf(() => {});
    expect(await directories.get(EMPTY_DIGEST)).toEqual({ entries: [] });
    expect(await drain(await directories.getClosure(EMPTY_DIGEST))).toEqual([{ entries: [] }]);
  });

  test("are not read further than the caller does", async () => {
    let isEnded = false;
    const { directories } = remoteOf((router) =>
      router.service(DirectoryService, {
        async *get(_, { signal }) {
          signal.addEventListener("abort", () => {
            isEnded = true;
          });
          yield directoryToMessage(root);
          await new Promise(() => {});
        },
      }),
    );
    for await (const directory of (await directories.getClosure(rootDigest)) ?? []) {
      expect(directory).toEqual(root);
      break;
    }
    await expect.poll(() => isEnded).toBe(true);
  });
});

describe("directories that are written", () => {
  const leaf = makeDirectory([{ name: utf8("file"), node: { kind: "file", digest, size: 7n, executable: false } }]);
  const root = makeDirectory([{ name: utf8("leaf"), node: directoryNode(leaf, "documented") }]);

  function storing(answer?: Uint8Array) {
    const received: Directory[] = [];
    const { directories } = remoteOf((router) =>
      router.service(DirectoryService, {
        async put(request) {
          for await (const message of request) received.push(directoryFromMessage(message));
          return { rootDigest: answer ?? directoryDigest(received.at(-1) ?? root) };
        },
      }),
    );
    return { directories, received };
  }

  test("are sent once each, in their order", async () => {
    const { directories, received } = storing();
    expect(await directories.put([leaf, leaf, root])).toEqual(directoryDigest(root));
    expect(received).toEqual([leaf, root]);
  });

  test("must be answered with the digest of the root", async () => {
    expect(await codeOf(storing(directoryDigest(leaf)).directories.put([leaf, root]))).toBe("corrupt");
    expect(await codeOf(storing(new Uint8Array(0)).directories.put([leaf, root]))).toBe("corrupt");
  });

  test("must follow the rules before they are sent", async () => {
    const { directories } = storing();
    for (const wrong of [[], [root, leaf], [leaf, makeDirectory([])]]) expect(await codeOf(directories.put(wrong))).toBe("invalid");
  });

  test("fail with the error of their source", async () => {
    const reason = new Error("source");
    const source = async function* () {
      yield leaf;
      throw reason;
    };
    await expect(storing().directories.put(source())).rejects.toBe(reason);
  });

  test("must fit into a message of gRPC", async () => {
    const { directories } = storing();
    const target = new Uint8Array(4095).fill(1);
    const count = Math.ceil(MAX_DIRECTORY_MESSAGE / target.length);
    const links = Array.from({ length: count }, (_, i) => ({
      name: utf8(`link-${i}`),
      node: { kind: "symlink", target } as const,
    }));
    expect(await codeOf(directories.put([makeDirectory(links)]))).toBe("invalid");
  });

  test("that a peer takes without reading them to the end are an error", async () => {
    const { directories } = remoteOf((router) =>
      router.service(DirectoryService, { put: async () => ({ rootDigest: directoryDigest(root) }) }),
    );
    const source = async function* () {
      yield leaf;
      await new Promise((resolve) => setImmediate(resolve));
      for (let i = 0; i < 1000; i++) yield leaf;
      yield root;
    };
    expect(await codeOf(directories.put(source()))).toMatch(/corrupt|unavailable/);
  });
});
