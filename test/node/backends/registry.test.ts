import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { backendOf, formatAddress, parseAddress } from "../../../src/node/addresses.ts";
import { BACKENDS, NOT_BUILT } from "../../../src/node/backends/registry.ts";
import { offers, openAddress } from "../../../src/node/services.ts";

const engine = new InlineHashEngine();
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-backends-"));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

test("each scheme has one backend, and isn't listed as missing", () => {
  const schemes = BACKENDS.flatMap((backend) => [...backend.schemes] as string[]);
  expect(new Set(schemes).size).toBe(schemes.length);
  expect(schemes.filter((scheme) => NOT_BUILT.has(scheme))).toEqual([]);
});

const ADDRESSES = () => [
  "memory:",
  `file:${dir}/embedded`,
  `objectstore+file:${dir}/objects`,
  "objectstore+memory:",
  "grpc+http://127.0.0.1:1",
  "nix+http://127.0.0.1:1",
];

test.each([0, 1, 2, 3, 4, 5])("address %d opens what its backend's capabilities list, and nothing else", async (i) => {
  const address = parseAddress(ADDRESSES()[i] ?? "");
  const opened = await openAddress(address, engine);
  try {
    for (const capability of ["blobs", "directories", "pathInfos", "substitutes"] as const)
      expect(opened[capability] !== undefined, capability).toBe(offers(address, capability));
  } finally {
    await opened.close?.();
  }
});

test.each([
  ["grpc+http://host:1", { url: "http://host:1" }],
  ["grpc+unix:/run/socket", { path: "/run/socket" }],
  ["nix+http://host:1/cache", { url: "http://host:1/cache" }],
  ["grpc+https://host:1", undefined],
  ["nix+https://host:1", undefined],
  ["memory:", undefined],
  ["file:/data", undefined],
])("requests to %s go to %j", (text, endpoint) => {
  const address = parseAddress(text);
  const found = backendOf(address).endpoint?.(address);
  if (endpoint) expect(found).toMatchObject(endpoint);
  else expect(found).toBeUndefined();
  expect(formatAddress(address)).toBe(text);
});
