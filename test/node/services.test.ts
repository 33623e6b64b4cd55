import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { digestOf } from "../../src/castore/digest.ts";
import { makeDirectory } from "../../src/castore/directory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { openServices } from "../../src/node/services.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

test("with several addresses, content is on the disk before the records that refer to it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "tvix-services-"));
  const store = await openServices(
    { blobs: `objectstore+file://${dir}/blobs`, directories: "memory:", pathInfos: "memory:" },
    new InlineHashEngine(),
  );
  try {
    const onDisk = () => readdir(join(dir, "blobs", "chunks", "b3")).catch(() => []);
    const file = (text: string) => ({ kind: "file", digest: digestOf(bytes(text)), size: 3n, executable: false }) as const;
    await store.directories.put(
      (async function* () {
        await store.blobs.putMany([bytes("one")]);
        yield makeDirectory([{ name: bytes("a"), node: file("one") }]);
      })(),
    );
    expect(await onDisk()).toHaveLength(1);
  } finally {
    await store.close();
    await rm(dir, { recursive: true, force: true });
  }
});
