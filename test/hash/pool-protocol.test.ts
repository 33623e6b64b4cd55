import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { kernel } from "../../src/hash/blake3.ts";
import { type HashReply, type HashRequest, HashServer } from "../../src/hash/pool-protocol.ts";
import { pseudoRandom } from "../conformance/content.ts";

type Body = HashRequest extends infer R ? (R extends { id: number } ? Omit<R, "id"> : never) : never;

const content = pseudoRandom(1000, 1);
const bufferOf = (bytes: Uint8Array): ArrayBuffer => bytes.slice().buffer as ArrayBuffer;
const sha256 = (bytes: Uint8Array) => new Uint8Array(createHash("sha256").update(bytes).digest());

/** A server, and a function that sends requests with ids from 1 on. */
function served(): (body: Body) => Promise<HashReply> {
  const server = new HashServer();
  let id = 0;
  return (body) => server.answer({ ...body, id: ++id } as HashRequest);
}

const open = { kind: "open", stream: 1, algorithm: "sha256", size: undefined } as const;
const failed = { kind: "failed", message: "there is no such hash stream" };

describe("a request", () => {
  test("gets its id and its buffer back", async () => {
    const ask = served();
    const buffer = bufferOf(content);
    expect(await ask({ kind: "subtree", buffer, length: 1000, chunk: 0, root: true })).toEqual({
      id: 1,
      buffer,
      kind: "done",
      result: kernel.blake3(content),
    });
    expect(await ask(open)).toEqual({ id: 2, buffer: undefined, kind: "done", result: undefined });
    const missing = await ask({ kind: "update", stream: 7, buffer, length: 1 });
    expect(missing).toMatchObject({ id: 3, ...failed });
    expect(missing.buffer).toBe(buffer);
  });

  test("hashes the first bytes of its buffer, as the root or as a subtree", async () => {
    const ask = served();
    const buffer = bufferOf(content);
    const [root, subtree] = [
      await ask({ kind: "subtree", buffer, length: 10, chunk: 0, root: true }),
      await ask({ kind: "subtree", buffer, length: 10, chunk: 5, root: false }),
    ];
    expect(root).toMatchObject({ result: kernel.blake3(content.subarray(0, 10)) });
    expect(subtree).toMatchObject({ result: kernel.subtree(content.subarray(0, 10), 5) });
  });

  test("hashes many blobs", async () => {
    const reply = await served()({ kind: "many", buffer: bufferOf(content), lengths: Uint32Array.of(3, 0, 500) });
    const blobs = [content.subarray(0, 3), content.subarray(0, 0), content.subarray(3, 503)];
    expect(reply).toMatchObject({ result: kernel.blake3Joined(blobs) });
    expect(await served()({ kind: "many", buffer: bufferOf(content), lengths: new Uint32Array(0) })).toMatchObject({
      result: new Uint8Array(0),
    });
  });

  test("that fails is answered with the reason", async () => {
    const ask = served();
    await ask(open);
    // The length exceeds the buffer.
    expect(await ask({ kind: "update", stream: 1, buffer: new ArrayBuffer(3), length: 4 })).toMatchObject({ kind: "failed" });
    // A worker may be asked for a hash that it doesn't know.
    const unknown = { ...open, algorithm: "crc32" } as unknown as Body;
    expect(await ask(unknown)).toMatchObject({ kind: "failed" });
  });
});

describe("a stream", () => {
  test("ends with its digest", async () => {
    const ask = served();
    await ask(open);
    await ask({ ...open, stream: 2, algorithm: "blake3" });
    for (const stream of [1, 2]) await ask({ kind: "update", stream, buffer: bufferOf(content), length: 999 });
    expect(await ask({ kind: "digest", stream: 1 })).toMatchObject({ result: sha256(content.subarray(0, 999)) });
    expect(await ask({ kind: "digest", stream: 1 })).toMatchObject(failed);
    expect(await ask({ kind: "digest", stream: 2 })).toMatchObject({ result: kernel.blake3(content.subarray(0, 999)) });
  });

  test("is gone after an abort, which may come late", async () => {
    const ask = served();
    await ask(open);
    for (let i = 0; i < 2; i++) expect(await ask({ kind: "abort", stream: 1 })).toMatchObject({ kind: "done" });
    expect(await ask({ kind: "digest", stream: 1 })).toMatchObject(failed);
    expect(await ask({ kind: "update", stream: 1, buffer: new ArrayBuffer(1), length: 1 })).toMatchObject(failed);
  });
});

describe("a cutter", () => {
  test("ends with the last chunk and the digest", async () => {
    const ask = served();
    await ask({ kind: "openCutter", stream: 1 });
    expect(await ask({ kind: "cut", stream: 1, buffer: bufferOf(content), length: 999 })).toMatchObject({ result: [] });
    const digest = kernel.blake3(content.subarray(0, 999));
    expect(await ask({ kind: "endCutter", stream: 1 })).toMatchObject({ result: { chunks: [{ length: 999, digest }], digest } });
    expect(await ask({ kind: "endCutter", stream: 1 })).toMatchObject(failed);
  });

  test("is gone after an abort, and is no stream", async () => {
    const ask = served();
    await ask({ kind: "openCutter", stream: 1 });
    expect(await ask({ kind: "digest", stream: 1 })).toMatchObject(failed);
    for (let i = 0; i < 2; i++) expect(await ask({ kind: "abort", stream: 1 })).toMatchObject({ kind: "done" });
    expect(await ask({ kind: "cut", stream: 1, buffer: new ArrayBuffer(1), length: 1 })).toMatchObject(failed);
    await ask(open);
    expect(await ask({ kind: "endCutter", stream: 1 })).toMatchObject(failed);
  });
});
