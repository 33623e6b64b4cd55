import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { expect, test } from "vitest";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { fromBase64, utf8 } from "../../src/bytes.ts";
import { BlobService as SnixBlobService } from "../../src/wire/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";

/**
 * A third party's page with the unchanged connect-web reads from our daemon: across origins, with
 * both protocols, under both families of names. It can't write, because connect-web's transports
 * refuse client streaming. For this reason we have transports of our own.
 */
test.each([
  ["Connect", createConnectTransport],
  ["gRPC-Web", createGrpcWebTransport],
])("stock connect-web reads over %s", async (_, createTransport) => {
  const [baseUrl] = STORE_DAEMONS;
  const store = connectRemoteStore(createBrowserTransport({ baseUrl, protocol: "connect" }), { name: baseUrl });
  const content = utf8("x86_64-linux");
  const [digest] = await store.blobs.putMany([content]);
  expect(digest).toEqual(fromBase64("KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA="));

  for (const service of [BlobService, SnixBlobService]) {
    const client = createClient(service, createTransport({ baseUrl }));
    expect((await client.stat({ digest: digest ?? content, sendChunks: true })).chunks).toEqual([]);
    const pieces: number[] = [];
    for await (const { data } of client.read({ digest: digest ?? content })) pieces.push(...data);
    expect(pieces).toEqual([...content]);
    await expect(client.stat({ digest: content })).rejects.toMatchObject({ code: 3 });
    await expect(client.stat({ digest: new Uint8Array(32) })).rejects.toMatchObject({ code: 5 });
  }
});
