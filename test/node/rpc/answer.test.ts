import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from "vitest";
import { StoreError, type StoreErrorCode } from "../../../src/error.ts";
import { answer, answerStream } from "../../../src/node/rpc/answer.ts";
import { BlobService } from "../../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

let logged: MockInstance<typeof console.error>;
beforeEach(() => {
  logged = vi.spyOn(console, "error").mockImplementation(() => {});
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Makes a client of handlers that throw `error`. */
function clientOf(error: unknown) {
  const transport = createRouterTransport((router) => {
    router.rpc(
      BlobService.method.stat,
      answer(async () => {
        throw error;
      }),
    );
    router.rpc(
      BlobService.method.read,
      answerStream(async function* () {
        yield { data: Uint8Array.of(1) };
        throw error;
      }),
    );
  });
  return createClient(BlobService, transport);
}

async function statusOf(call: Promise<unknown>): Promise<ConnectError> {
  return call.then(
    () => expect.fail("it did not fail"),
    (error) => ConnectError.from(error),
  );
}

test.each<[StoreErrorCode, Code, boolean]>([
  ["not-found", Code.NotFound, false],
  ["invalid", Code.InvalidArgument, false],
  ["denied", Code.PermissionDenied, false],
  ["unavailable", Code.Unavailable, false],
  ["corrupt", Code.DataLoss, true],
  ["internal", Code.Internal, true],
])("a StoreError %s becomes the status %d; logged: %s", async (code, status, isLogged) => {
  const error = new StoreError(code, "the reason");
  const client = clientOf(error);
  expect((await statusOf(client.stat({}))).code).toBe(status);
  const read: number[] = [];
  const reading = async () => {
    for await (const { data } of client.read({})) read.push(data.length);
  };
  expect((await statusOf(reading())).code).toBe(status);
  expect(read).toEqual([1]);
  const calls = ["Stat", "Read"].map((method) => [`tvix.castore.v1.BlobService/${method}:`, error]);
  expect(logged.mock.calls).toEqual(isLogged ? calls : []);
});

test("of an error that is a bug, the client only learns that it happened", async () => {
  const status = await statusOf(clientOf(new TypeError("a secret")).stat({}));
  expect(status.code).toBe(Code.Internal);
  expect(status.message).not.toContain("a secret");
  expect(logged).toHaveBeenCalledOnce();
});

test("a status stays as it is", async () => {
  const status = await statusOf(clientOf(new ConnectError("later", Code.ResourceExhausted)).stat({}));
  expect([status.code, status.rawMessage]).toEqual([Code.ResourceExhausted, "later"]);
});

test("an error after the client has gone is not logged", async () => {
  const aborting = new AbortController();
  let ended: (() => void) | undefined;
  const end = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const transport = createRouterTransport((router) => {
    router.rpc(
      BlobService.method.stat,
      answer(async (_, { signal }) => {
        aborting.abort();
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        ended?.();
        throw new TypeError("the connection is gone");
      }),
    );
  });
  const call = createClient(BlobService, transport).stat({}, { signal: aborting.signal });
  expect((await statusOf(call)).code).toBe(Code.Canceled);
  await end;
  await new Promise((resolve) => setImmediate(resolve));
  expect(logged).not.toHaveBeenCalled();
});
