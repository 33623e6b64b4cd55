import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { type Digest, digestOf } from "../../../src/castore/digest.ts";
import { type Directory, makeDirectory } from "../../../src/castore/directory.ts";
import { directoryDigest, directoryNode } from "../../../src/castore/directory-codec.ts";
import type { DirectoryService } from "../../../src/castore/directory-service.ts";
import { directoryHandlers } from "../../../src/node/rpc/directory-handlers.ts";
import { directoryToMessage } from "../../../src/wire/directory-message.ts";
import { DirectoryService as DirectoryRpc } from "../../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";

let directories: DirectoryService;
let client: ReturnType<typeof createClient<typeof DirectoryRpc>>;
beforeEach(() => {
  ({ directories } = createMemoryStore());
  const transport = createRouterTransport((router) => {
    router.service(DirectoryRpc, directoryHandlers(directories));
  });
  client = createClient(DirectoryRpc, transport);
});

const leaf = makeDirectory([{ name: utf8("link"), node: { kind: "symlink", target: utf8("x") } }]);
const root = makeDirectory([{ name: utf8("leaf"), node: directoryNode(leaf, "doubled") }]);
const other = makeDirectory([{ name: utf8("other"), node: { kind: "symlink", target: utf8("x") } }]);
/** A directory whose message has more than 4 MiB, which gRPC's peers refuse. */
const large = makeDirectory(
  Array.from({ length: 1100 }, (_, i) => ({
    name: utf8(String(i)),
    node: { kind: "symlink", target: new Uint8Array(4000).fill(120) } as const,
  })),
);

async function codeOf(call: Promise<unknown>): Promise<Code | undefined> {
  return call.then(
    () => undefined,
    (error) => ConnectError.from(error).code,
  );
}

async function get(digest: Uint8Array | undefined, recursive: boolean): Promise<number> {
  let count = 0;
  const byWhat = digest ? ({ case: "digest", value: digest } as const) : ({ case: undefined } as const);
  for await (const _ of client.get({ byWhat, recursive })) count++;
  return count;
}

async function* messages(...all: Directory[]) {
  for (const one of all) yield directoryToMessage(one);
}

describe("Get", () => {
  test("sends a directory, or all beneath it too", async () => {
    const digest = await directories.put([leaf, root]);
    expect(await get(digest, false)).toBe(1);
    expect(await get(digest, true)).toBe(2);
  });

  test.each([false, true])("refuses a request without a digest, or for a missing directory (recursive: %s)", async (recursive) => {
    expect(await codeOf(get(undefined, recursive))).toBe(Code.InvalidArgument);
    expect(await codeOf(get(new Uint8Array(31), recursive))).toBe(Code.InvalidArgument);
    expect(await codeOf(get(digestOf(utf8("missing")), recursive))).toBe(Code.NotFound);
  });

  test.each([false, true])("sends no directory that is too large for a gRPC peer (recursive: %s)", async (recursive) => {
    const digest = await directories.put([large]);
    expect(await codeOf(get(digest, recursive))).toBe(Code.InvalidArgument);
  });
});

describe("Put", () => {
  test("stores directories unchanged, and answers with the digest of the root", async () => {
    const { rootDigest } = await client.put(messages(leaf, root));
    expect(rootDigest).toEqual(directoryDigest(root));
    expect(await directories.get(rootDigest as Digest)).toEqual(root);
  });

  test.each<[string, Directory[]]>([
    ["no directories", []],
    ["a directory before its child", [root, leaf]],
    ["a directory that is not beneath the root", [leaf, other]],
    ["a directory that is too large for a gRPC peer", [large]],
  ])("refuses %s", async (_, all) => {
    expect(await codeOf(client.put(messages(...all)))).toBe(Code.InvalidArgument);
    expect(await directories.get(directoryDigest(all.at(-1) ?? root))).toBeUndefined();
  });

  test("that is cancelled after all messages stores nothing", async () => {
    const controller = new AbortController();
    const cancelled = async function* () {
      yield* messages(leaf);
      // The server sees the end of the request one turn before it sees that the client cancelled.
      setImmediate(() => controller.abort());
    };
    expect(await codeOf(client.put(cancelled(), { signal: controller.signal }))).toBe(Code.Canceled);
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(await directories.get(directoryDigest(leaf))).toBeUndefined();
  });
});
