import { afterEach, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import type { OperationOptions } from "../../src/progress.ts";
import type { RemoteStore } from "../../src/store/services.ts";
import { serveFetch } from "../../src/thread/port-fetch.ts";
import type { RemoteUse } from "../../src/thread/sync-api.ts";
import { RemoteConnections } from "../../src/worker/remote-connections.ts";
import { STORE_DAEMONS } from "../conformance/daemon-urls.ts";

const engine = new InlineHashEngine();
const DETECTION = "/tvix.castore.v1.BlobService/Stat";

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0)) stop();
});

/** Starts to record the requests of a remote, whose service names begin with `family`. */
function watched(): { use(id: number): RemoteUse; requests: string[]; family: "tvix" | "snix" } {
  const remote = {
    requests: [] as string[],
    family: "tvix" as "tvix" | "snix",
    use(id: number): RemoteUse {
      const { port1, port2 } = new MessageChannel();
      const stop = serveFetch(port1, async (input, init) => {
        const { pathname } = new URL(String(input));
        remote.requests.push(pathname);
        return pathname.startsWith(`/${remote.family}.`) ? fetch(input, init) : new Response(null, { status: 404 });
      });
      stops.push(stop);
      return { id, address: { url: STORE_DAEMONS[0], protocol: "connect", dialect: "auto", headers: [] }, fetch: port2 };
    },
  };
  return remote;
}

const ask = ({ pathInfos }: RemoteStore) => pathInfos.get("00000000000000000000000000000000");

test("operations that succeed detect the remote's family once", async () => {
  const { use, requests } = watched();
  const remotes = new RemoteConnections();
  for (let i = 0; i < 3; i++) expect(await remotes.of(use(1)).use(engine, {}, ask)).toBeUndefined();
  for await (const _ of remotes.of(use(1)).list(engine, ({ pathInfos }) => pathInfos.list())) break;
  expect(requests).toEqual([
    DETECTION,
    ...Array(3).fill("/tvix.store.v1.PathInfoService/Get"),
    "/tvix.store.v1.PathInfoService/List",
  ]);
  requests.length = 0;
  await remotes.of(use(2)).use(engine, {}, ask);
  expect(requests[0]).toBe(DETECTION);
});

test.each([
  ["an operation", (remotes: RemoteConnections, use: RemoteUse) => remotes.of(use).use(engine, {}, ask)],
  [
    "a listing",
    async (remotes: RemoteConnections, use: RemoteUse) => {
      for await (const _ of remotes.of(use).list(engine, ({ pathInfos }) => pathInfos.list())) break;
    },
  ],
])("%s finds that the remote was restarted as another family", async (_, run) => {
  const remote = watched();
  const remotes = new RemoteConnections();
  await remotes.of(remote.use(1)).use(engine, {}, ask);
  remote.family = "snix";
  remote.requests.length = 0;
  await run(remotes, remote.use(1));
  expect(remote.requests[0]).toMatch(/^\/tvix\.store/);
  expect(remote.requests.at(-1)).toMatch(/^\/snix\.store/);
});

test("an operation that fails or is aborted ends the connection", async () => {
  const remotes = new RemoteConnections();
  const connection = remotes.of(watched().use(1));
  const stores: RemoteStore[] = [];
  const run = (error?: unknown): Promise<void> =>
    connection.use(engine, {}, async (store) => {
      stores.push(store);
      if (error) throw error;
    });
  await run();
  await run();
  expect(stores[1]).toBe(stores[0]);
  const failures = [new StoreError("denied", "the remote is read-only"), new DOMException("enough", "AbortError")];
  for (const error of failures) await expect(run(error)).rejects.toBe(error);
  await run();
  expect(new Set(stores).size).toBe(3);
});

test("only the first try of a kept connection is repeated, and only before there was progress", async () => {
  const remotes = new RemoteConnections();
  const connection = remotes.of(watched().use(1));
  const unavailable = new StoreError("unavailable", "nobody answers");
  const controller = new AbortController();
  let runs = 0;
  const fail = (loaded?: number): Promise<never> =>
    connection.use(engine, { signal: controller.signal }, async (_, { onProgress }: OperationOptions) => {
      runs++;
      if (loaded !== undefined) onProgress?.({ phase: "copying", unit: "bytes", loaded });
      throw unavailable;
    });
  const succeed = (): Promise<void> => connection.use(engine, {}, async () => {});
  await expect(fail()).rejects.toBe(unavailable);
  expect(runs).toBe(1);
  await succeed();
  await expect(fail()).rejects.toBe(unavailable);
  expect(runs).toBe(3);
  await succeed();
  await expect(fail(1)).rejects.toBe(unavailable);
  expect(runs).toBe(4);
  await succeed();
  controller.abort(unavailable);
  await expect(fail()).rejects.toBe(unavailable);
  expect(runs).toBe(5);
});

test("a forgotten connection is made anew", async () => {
  const { use, requests } = watched();
  const remotes = new RemoteConnections();
  await remotes.of(use(1)).use(engine, {}, ask);
  remotes.forget(1);
  remotes.forget(2);
  await remotes.of(use(1)).use(engine, {}, ask);
  remotes.close();
  await remotes.of(use(1)).use(engine, {}, ask);
  expect(requests.filter((path) => path === DETECTION)).toHaveLength(3);
});
