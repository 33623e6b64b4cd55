import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { backendOf, formatAddress, parseAddress } from "../../src/node/addresses.ts";
import { BACKENDS, NOT_BUILT } from "../../src/node/backends/registry.ts";
import { ADDRESSES_HELP } from "../../src/node/service-flags.ts";
import { offers, openAddress, openServices } from "../../src/node/services.ts";
import { UsageError } from "../../src/node/usage-error.ts";

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

test("the help has each backend, in lines of at most 100 columns", () => {
  for (const { help } of BACKENDS) expect(ADDRESSES_HELP).toContain(`\n  ${help.form}`);
  for (const line of ADDRESSES_HELP.split("\n")) {
    expect(line.length).toBeLessThanOrEqual(100);
    expect(line).toBe(line.trimEnd());
  }
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

describe("services at an address without that capability are refused, before anything is opened", () => {
  test.each([
    ["blobs", "nix+http://127.0.0.1:1"],
    ["directories", "nix+http://127.0.0.1:1"],
    ["pathInfos", "objectstore+file:DIR/unused"],
    ["pathInfos", "objectstore+memory:"],
  ] as const)("%s at %s", async (service, text) => {
    const file = `file:${dir}/not-opened`;
    const addresses = { blobs: file, directories: file, pathInfos: file, [service]: text.replace("DIR", dir) };
    await expect(openServices(addresses, engine)).rejects.toThrow(UsageError);
    // If the embedded store had been opened and left open, this would be a conflict.
    await (await openAddress(parseAddress(file), engine)).close?.();
  });
});

test("services at one address share one embedded store", async () => {
  const file = `file:${dir}/shared`;
  const store = await openServices({ blobs: file, directories: `file://${dir}/shared`, pathInfos: `${file}/` }, engine);
  await store.close();
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
