import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import { utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { formatAddress, parseAddress } from "../../../src/node/addresses.ts";
import { rpcRoutes } from "../../../src/node/rpc/routes.ts";
import { startServer } from "../../../src/node/server.ts";
import { openAddress } from "../../../src/node/services.ts";
import { UsageError } from "../../../src/node/usage-error.ts";
import { calculateNar } from "../../../src/store/nar.ts";

const engine = new InlineHashEngine();

test.each([
  "grpc+http:",
  "grpc+http:localhost:8000",
  "grpc+http://",
  "grpc+http://host:99999",
  "grpc+http://host/path",
  "grpc+http://user@host",
  "grpc+http://host?x",
  "grpc+https://host/path",
  "grpc+unix:",
  "grpc+unix://host/socket",
])("refuses %j", (text) => {
  expect(() => parseAddress(text)).toThrow(UsageError);
});

test.each([
  ["grpc+http://Example.org:80/", "grpc+http://example.org"],
  ["grpc+http://[::1]:8000", "grpc+http://[::1]:8000"],
  ["grpc+https://example.org:443", "grpc+https://example.org"],
  ["grpc+unix:socket", `grpc+unix:${resolve("socket")}`],
  ["grpc+unix:///run/a%20b", "grpc+unix:/run/a b"],
])("%s is %s", (text, canonical) => {
  expect(formatAddress(parseAddress(text))).toBe(canonical);
});

test("an open address reads and writes the daemon's store", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tvix-grpc-"));
  const store = createMemoryStore();
  const routes = rpcRoutes(store, { calculateNar: (node) => calculateNar(store, engine, node) });
  const server = await startServer({ path: join(dir, "socket") }, { routes, closeTimeout: 3_600_000 });
  const { blobs, calculateNar: calculateThere, close } = await openAddress(parseAddress(`grpc+${server.address}`), engine);
  expect(await blobs?.putMany([utf8("content")])).toEqual([digestOf(utf8("content"))]);
  const node = { kind: "file", digest: digestOf(utf8("content")), size: 7n, executable: false } as const;
  expect(await calculateThere?.(node)).toEqual(await calculateNar(store, engine, node));
  await close?.();
  await server.close();
  await rm(dir, { recursive: true });
});
