import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { digestOf } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { parseAddress } from "../../src/node/addresses.ts";
import { openAddress, openServices, type ServiceAddresses } from "../../src/node/services.ts";
import { UsageError } from "../../src/node/usage-error.ts";
import { openFilesIn, tellsOpenFiles } from "./open-files.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const engine = new InlineHashEngine();

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-services-"));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Opens an embedded store. If it were open already, this would be a conflict. */
async function openAlone(address: string): Promise<void> {
  await (await openAddress(parseAddress(address), engine)).close?.();
}

test("with several addresses, content is on the disk before the records that refer to it", async () => {
  const store = await openServices(
    { blobs: `objectstore+file://${dir}/blobs`, directories: "memory:", pathInfos: "memory:" },
    engine,
  );
  const onDisk = () => readdir(join(dir, "blobs", "chunks", "b3")).catch(() => []);
  const file = (text: string) => ({ kind: "file", digest: digestOf(bytes(text)), size: 3n, executable: false }) as const;
  await store.directories.put(
    (async function* () {
      await store.blobs.putMany([bytes("one")]);
      yield makeDirectory([{ name: bytes("a"), node: file("one") }]);
    })(),
  );
  expect(await onDisk()).toHaveLength(1);
  await store.blobs.putMany([bytes("two")]);
  await store.uploads.updateText("realisations/x.doi", () => "a record");
  expect(await onDisk()).toHaveLength(2);
  await store.close();
});

test("services at one address share one embedded store", async () => {
  const file = `file:${dir}/shared`;
  const store = await openServices({ blobs: file, directories: `file://${dir}/shared`, pathInfos: `${file}/` }, engine);
  await store.close();
  await store.close();
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
    expect(await readdir(dir)).toEqual([]);
  });
});

describe("if one address can't be opened, the others are closed", () => {
  test.each<[string, (good: string, other: string, bad: string) => ServiceAddresses]>([
    ["the second", (good, _, bad) => ({ blobs: good, directories: bad, pathInfos: good })],
    ["the third", (good, other, bad) => ({ blobs: good, directories: other, pathInfos: bad })],
  ])("%s", async (_, addresses) => {
    const [good, other, bad] = ["good", "other", "bad"].map((name) => `file:${join(dir, name)}`) as [string, string, string];
    await writeFile(join(dir, "bad"), "no directory");
    await expect(openServices(addresses(good, other, bad), engine)).rejects.toMatchObject({ code: "unavailable" });
    if (tellsOpenFiles) expect(openFilesIn(dir)).toBe(0);
    for (const address of [good, other]) await openAlone(address);
  });
});

test("uploads are kept in the embedded store, wherever it is", async () => {
  const file = `file:${join(dir, "store")}`;
  const addresses = { blobs: "memory:", directories: "memory:", pathInfos: file };
  const first = await openServices(addresses, engine);
  await first.uploads.updateText("realisations/x.doi", () => "a record");
  await first.close();
  const second = await openServices(addresses, engine);
  expect(await second.uploads.text("realisations/x.doi")).toBe("a record");
  await second.close();
});

test("only a remote that stores blobs and directories calculates NARs", async () => {
  const remote = "grpc+http://127.0.0.1:1";
  const calculates = async (addresses: ServiceAddresses) => {
    const opened = await openServices(addresses, engine);
    await opened.close();
    return opened.calculateNar !== undefined;
  };
  expect(await calculates({ blobs: remote, directories: remote, pathInfos: remote })).toBe(true);
  expect(await calculates({ blobs: remote, directories: remote, pathInfos: "nix+http://127.0.0.1:1" })).toBe(true);
  expect(await calculates({ blobs: remote, directories: "memory:", pathInfos: remote })).toBe(false);
  expect(await calculates({ blobs: "memory:", directories: "memory:", pathInfos: "memory:" })).toBe(false);
});
