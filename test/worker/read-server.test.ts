import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { Digest } from "../../src/castore/digest.ts";
import { calculateNar } from "../../src/store/nar.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { iterate } from "../../src/stream.ts";
import { operationPort } from "../../src/thread/operation-port.ts";
import { receiveStream } from "../../src/thread/port-stream.ts";
import { ReadServer } from "../../src/worker/read-server.ts";
import { type MemoryOperations, memoryOperations, silentPort } from "./memory-operations.ts";
import { directory, engine, failure, hashPart, longBlob, pathInfo, putPack, putPathInfos, text } from "./memory-store.ts";

const BASE = (letter: string): string => `${hashPart(letter)}-path`;
const [A, B] = [text(`refers to ${hashPart("b")} and ${hashPart("c")}`), text("bb")];
const LONG = longBlob(A, B);
const ROOT = directory({ a: A.node, long: LONG.node });

/** A store with a path `a`, which refers to `b`. Both have `ROOT` as their content. */
async function serve(): Promise<MemoryOperations & { server: ReadServer; infos: [PathInfo, PathInfo] }> {
  const world = memoryOperations();
  await putPack(world, [A, B, LONG, ROOT]);
  const { narHash, narSize } = await calculateNar(world.operations.store.services, engine, ROOT.node);
  const infos: [PathInfo, PathInfo] = [
    pathInfo("a", ROOT.node, { narHash, narSize, references: [BASE("b")] }),
    pathInfo("b", ROOT.node, { narHash, narSize }),
  ];
  await putPathInfos(world, ...infos);
  return { ...world, infos, server: new ReadServer(world.operations) };
}

/** Everything that a call sends through its port. */
async function received<T>(call: (to: MessagePort) => void): Promise<T[]> {
  const { port1, port2 } = new MessageChannel();
  const stream = receiveStream<T>(port1);
  call(port2);
  const found: T[] = [];
  for await (const value of iterate(stream)) found.push(value);
  return found;
}

describe("path infos", () => {
  test("are looked up by their store path, and listed in batches", async () => {
    const { server, infos } = await serve();
    expect(await server.pathInfo(infos[0].storePath)).toEqual(infos[0]);
    expect(await server.pathInfo(pathInfo("c", ROOT.node).storePath)).toBeUndefined();
    expect(await failure(server.pathInfo("/nix/store/short"))).toBe("invalid");
    expect(await received((to) => server.pathInfos(to))).toEqual([infos]);
  });

  test("become NARInfo files; a missing one has none", async () => {
    const { server, infos } = await serve();
    expect(await server.narInfo(infos[0].storePath)).toContain(`References: ${BASE("b")}\n`);
    expect(await server.narInfo(pathInfo("c", ROOT.node).storePath)).toBeUndefined();
  });

  test("are checked against keys; a missing one, and a bad key, are errors", async () => {
    const { server, infos } = await serve();
    expect(await server.verifySignatures(infos[0].storePath, [])).toMatchObject({ signatures: [] });
    expect(await failure(server.verifySignatures(pathInfo("c", ROOT.node).storePath, []))).toBe("not-found");
    expect(await failure(server.verifySignatures(infos[0].storePath, ["no key"]))).toBe("invalid");
  });
});

describe("directories and nodes", () => {
  test("are found by their path", async () => {
    const { server, infos } = await serve();
    const entries = await server.list(infos[0].storePath, "");
    expect(entries).toMatchObject([{ name: "a" }, { name: "long" }]);
    expect(await server.list(infos[0].storePath, "none")).toBeUndefined();
    expect(await failure(server.list(infos[0].storePath, "a"))).toBe("invalid");
    expect(await server.node(infos[0].storePath, "a")).toEqual(A.node);
    expect(await server.node(infos[0].storePath, "none")).toBeUndefined();
  });

  test("have a NAR listing; without a node there is none", async () => {
    const { server, infos } = await serve();
    expect(JSON.parse(await server.narListing(infos[0].storePath, ""))).toMatchObject({
      version: 1,
      root: { type: "directory", entries: { a: { type: "regular", size: Number(A.node.size) } } },
    });
    expect(await failure(server.narListing(infos[0].storePath, "none"))).toBe("not-found");
  });
});

describe("a blob", () => {
  const whole = concatBytes([A.bytes, B.bytes]);

  test("is read whole or in part, as a stream or at once", async () => {
    const { server } = await serve();
    const stream = (range: { offset: number; length: number }): Promise<Uint8Array[]> =>
      received((to) => server.readBlob(LONG.digest, range, to));
    expect(concatBytes(await stream({ offset: 0, length: whole.length }))).toEqual(whole);
    const range = { offset: A.bytes.length - 1, length: 2 };
    expect(concatBytes(await stream(range))).toEqual(whole.subarray(range.offset, range.offset + 2));
    expect(await server.readBytes(LONG.digest, range)).toEqual(whole.subarray(range.offset, range.offset + 2));
  });

  test("that is missing is not-found", async () => {
    const { server } = await serve();
    const missing: Digest = text("missing").digest;
    expect(await failure(server.readBytes(missing, { offset: 0, length: 1 }))).toBe("not-found");
    expect(await failure(received((to) => server.readBlob(missing, { offset: 0, length: 1 }, to)))).toBe("not-found");
  });
});

describe("a NAR", () => {
  test("is whole by default, or a part of it, or of a node in the path", async () => {
    const { server, infos } = await serve();
    const { storePath, narSize } = infos[0];
    const nar = async (part: Parameters<ReadServer["nar"]>[1]): Promise<Uint8Array> =>
      concatBytes(await received<Uint8Array>((to) => server.nar(storePath, part, to)));
    const all = await nar({});
    expect(all).toHaveLength(narSize);
    expect(await nar({ offset: 8, length: 13 })).toEqual(utf8("nix-archive-1"));
    expect(await nar({ offset: narSize - 3 })).toEqual(all.subarray(-3));
    expect((await nar({ path: "a" })).length).toBeLessThan(narSize);
    expect(await failure(nar({ path: "none" }))).toBe("not-found");
  });
});

describe("a nario", () => {
  const paths = async (server: ReadServer, ...args: [string[] | undefined, { closure?: boolean }]): Promise<string[]> => {
    const bytes = concatBytes(await received<Uint8Array>((to) => server.nario(...args, silentPort(), to)));
    return [...new TextDecoder("latin1").decode(bytes).matchAll(/NIXE\0{4}.{8}\/nix\/store\/(.)/gs)].map(
      ([, letter]) => letter ?? "",
    );
  };

  test("has the closure of its paths, dependencies first; or only the paths; or all of the store", async () => {
    const { server, infos } = await serve();
    const [a, b] = infos.map(({ storePath }) => storePath) as [string, string];
    expect(await paths(server, [a], {})).toEqual(["b", "a"]);
    expect(await paths(server, [a, b], { closure: true })).toEqual(["b", "a"]);
    expect(await paths(server, [a], { closure: false })).toEqual(["a"]);
    expect(await paths(server, [b], {})).toEqual(["b"]);
    expect(await paths(server, undefined, {})).toEqual(["b", "a"]);
    expect(await paths(server, undefined, { closure: false })).toEqual(["b", "a"]);
    expect(await paths(server, [], {})).toEqual([]);
  });

  test("of a missing path is not-found, with or without its closure", async () => {
    const { server } = await serve();
    const missing = [pathInfo("c", ROOT.node).storePath];
    expect(await failure(paths(server, missing, {}))).toBe("not-found");
    expect(await failure(paths(server, missing, { closure: false }))).toBe("not-found");
  });

  test("ends its operation, whether it is read or cancelled", async () => {
    for (const isRead of [true, false]) {
      const { server } = await serve();
      const page = operationPort({ onProgress: () => {} });
      const { port1, port2 } = new MessageChannel();
      const stream = receiveStream<Uint8Array>(port1);
      server.nario(undefined, {}, page.port, port2);
      const reader = stream.getReader();
      await reader.read();
      if (isRead) while (!(await reader.read()).done);
      else await reader.cancel();
      await page.reported;
      page.finish();
    }
  });
});

describe("references are searched", () => {
  test("among all paths of the store, the path itself and its own references, unless candidates are given", async () => {
    const { server, infos } = await serve();
    const { storePath } = infos[0];
    expect(await server.scanReferences(storePath, undefined, silentPort())).toEqual([BASE("b")]);
    // `c` occurs in the content, but is no path of the store.
    const candidates = [`/nix/store/${BASE("c")}`, `/nix/store/${BASE("d")}`];
    expect(await server.scanReferences(storePath, candidates, silentPort())).toEqual([BASE("c")]);
    expect(await server.scanReferences(storePath, [], silentPort())).toEqual([]);
  });

  test("only in paths that exist, and for candidates that are store paths", async () => {
    const { server, infos } = await serve();
    expect(await failure(server.scanReferences(pathInfo("d", ROOT.node).storePath, undefined, silentPort()))).toBe("not-found");
    expect(await failure(server.scanReferences(infos[0].storePath, ["no path"], silentPort()))).toBe("invalid");
  });
});

test("no call works on a closed store", async () => {
  const { server, operations, infos } = await serve();
  operations.opened = undefined;
  const { port1 } = new MessageChannel();
  expect(await failure(server.pathInfo(infos[0].storePath))).toBe("closed");
  expect(() => server.readBlob(A.digest, { offset: 0, length: 1 }, port1)).toThrow(expect.objectContaining({ code: "closed" }));
  expect(() => server.nar(infos[0].storePath, {}, port1)).toThrow(expect.objectContaining({ code: "closed" }));
  expect(await failure(received((to) => server.pathInfos(to)))).toBe("closed");
});
