import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { beforeEach, expect, test } from "vitest";
import { healthHandlers } from "../../../src/node/rpc/health.ts";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../../src/wire/gen/grpc/health/v1/health_pb.ts";
import { BlobService } from "../../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";

const BLOBS = "tvix.castore.v1.BlobService";

let closing: AbortController;
let client: ReturnType<typeof createClient<typeof Health>>;
beforeEach(() => {
  closing = new AbortController();
  const transport = createRouterTransport((router) => {
    router.service(Health, healthHandlers([BlobService], closing.signal));
  });
  client = createClient(Health, transport);
});

/** Watches a service, and begins to close the server after the first status. */
async function watched(service: string): Promise<Status[]> {
  const seen: Status[] = [];
  for await (const { status } of client.watch({ service })) {
    seen.push(status);
    closing.abort();
  }
  return seen;
}

test.each(["", BLOBS])("the service %j serves until the server begins to close", async (service) => {
  expect((await client.check({ service })).status).toBe(Status.SERVING);
  expect(await watched(service)).toEqual([Status.SERVING, Status.NOT_SERVING]);
  expect((await client.check({ service })).status).toBe(Status.NOT_SERVING);
  expect(await watched(service)).toEqual([Status.NOT_SERVING, Status.NOT_SERVING]);
});

test("an unknown service is not found, and a watch says so until the server begins to close", async () => {
  await expect(client.check({ service: "no.such.Service" })).rejects.toMatchObject({ code: Code.NotFound });
  expect(await watched("no.such.Service")).toEqual([Status.SERVICE_UNKNOWN]);
});

test("a watch ends when its client cancels it", async () => {
  const watching = new AbortController();
  const seen: Status[] = [];
  const watch = async () => {
    for await (const { status } of client.watch({ service: BLOBS }, { signal: watching.signal })) {
      seen.push(status);
      watching.abort();
    }
  };
  await expect(watch()).rejects.toMatchObject({ code: Code.Canceled });
  expect(seen).toEqual([Status.SERVING]);
});
