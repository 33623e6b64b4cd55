import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf, EMPTY_DIGEST } from "../../src/castore/digest.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { MAX_BLOB_PIECE } from "../../src/wire/blob-message.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { codeOf, content, remoteOf } from "./peer.ts";

/** Receives one blob. `messages` are its pieces; `outcome` is how the call ended. */
interface Receiver {
  readonly remote: RemoteStore;
  readonly messages: Uint8Array[];
  outcome: "open" | "complete" | "cut off" | undefined;
}

function receiver(): Receiver {
  const messages: Uint8Array[] = [];
  const remote = remoteOf((router) =>
    router.service(BlobService, {
      async put(request, { signal }) {
        received.outcome = "open";
        for await (const { data } of request) messages.push(data.slice());
        // The transport within one process ends the messages at an abort. A real one breaks off.
        received.outcome = signal.aborted ? "cut off" : "complete";
        return { digest: digestOf(concatBytes(messages)) };
      },
    }),
  );
  const received: Receiver = { remote, messages, outcome: undefined };
  return received;
}

describe("a blob that is written", () => {
  test("is sent in pieces, whose buffers the caller may use again", async () => {
    const received = receiver();
    const writer = await received.remote.blobs.create();
    expect(received.outcome).toBeUndefined();
    const bytes = new Uint8Array(MAX_BLOB_PIECE + 1).fill(1);
    await writer.write(bytes);
    bytes.fill(0);
    await writer.write(new Uint8Array(0));
    await writer.write(utf8("x"));
    const expected = concatBytes([new Uint8Array(MAX_BLOB_PIECE + 1).fill(1), utf8("x")]);
    expect(await writer.close()).toEqual({ digest: digestOf(expected), size: expected.length });
    expect(received.messages.map(({ length }) => length)).toEqual([MAX_BLOB_PIECE, 1, 1]);
  });

  test("is one empty message if it is empty", async () => {
    const received = receiver();
    expect(await (await received.remote.blobs.create()).close()).toEqual({ digest: EMPTY_DIGEST, size: 0 });
    expect(received.messages).toEqual([new Uint8Array(0)]);
  });

  test("can't be written or closed again", async () => {
    const writer = await receiver().remote.blobs.create();
    await writer.close();
    expect(await codeOf(writer.write(content))).toBe("closed");
    expect(await codeOf(writer.close())).toBe("closed");
    await writer.abort();
  });
});

describe("an abort", () => {
  const reason = { why: "enough" };

  test("ends the call without its end, so that the peer keeps nothing", async () => {
    const received = receiver();
    const writer = await received.remote.blobs.create();
    await writer.write(content);
    await expect.poll(() => received.outcome).toBe("open");
    await writer.abort(reason);
    await expect.poll(() => received.outcome).toBe("cut off");
    await expect(writer.write(content)).rejects.toBe(reason);
    await expect(writer.close()).rejects.toBe(reason);
  });

  test("by the signal does the same, also before the first byte", async () => {
    for (const first of [undefined, content]) {
      const received = receiver();
      const controller = new AbortController();
      const writer = await received.remote.blobs.create({ signal: controller.signal });
      if (first) await writer.write(first);
      controller.abort(reason);
      await expect(writer.write(content)).rejects.toBe(reason);
      if (first) await expect.poll(() => received.outcome).toBe("cut off");
      else expect(received.outcome).toBeUndefined();
    }
  });
});

describe("a peer", () => {
  test("that refuses a blob fails with its error, not with that of a broken stream", async () => {
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

  test("that answers another digest is at fault", async () => {
    const { blobs } = remoteOf((router) =>
      router.service(BlobService, {
        async put(request) {
          for await (const _ of request);
          return { digest: digestOf(utf8("other")) };
        },
      }),
    );
    const writer = await blobs.create();
    await writer.write(content);
    expect(await codeOf(writer.close())).toBe("corrupt");
    expect(await codeOf(writer.close())).toBe("corrupt");
  });

  test("that answers before the end is at fault", async () => {
    const { blobs } = remoteOf((router) => router.service(BlobService, { put: async () => ({ digest: digestOf(content) }) }));
    const writer = await blobs.create();
    const writing = async () => {
      for (let i = 0; i < 1000; i++) await writer.write(content);
    };
    expect(await codeOf(writing())).toBe("corrupt");
  });
});
