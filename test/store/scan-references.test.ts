import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { InlineHashEngine } from "../../src/hash/inline-engine.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { importNar } from "../../src/store/import.ts";
import { scanReferences } from "../../src/store/scan-references.ts";

const SAMPLE = join(import.meta.dirname, "../fixtures/sample");

/** Path infos of real Nix, which scanned the paths when it built or added them. */
const INFOS = readdirSync(SAMPLE).flatMap((name) => {
  if (!name.endsWith(".narinfo")) return [];
  const text = readFileSync(join(SAMPLE, name), "utf8");
  return [{ text, info: parseNarInfo(text) }];
});
const ALL = INFOS.map(({ info }) => info.storePath);

test.each(INFOS.map(({ text, info }) => [info.storePath.slice(44), text, info] as const))(
  "the references of %s are those that Nix found",
  async (_, text, info) => {
    const engine = new InlineHashEngine();
    const store = createMemoryStore(engine);
    const nar = async function* () {
      yield new Uint8Array(readFileSync(join(SAMPLE, info.url)));
    };
    const { node } = await importNar(store, engine, nar(), { narInfo: text });
    const seen: number[] = [];
    const found = await scanReferences(store, node, ALL, { onProgress: ({ loaded }) => seen.push(loaded) });
    // A derivation contains the names of its outputs, but Nix takes its references from its inputs
    // only.
    const outputs = info.storePath.endsWith(".drv") ? found.filter((name) => !info.references.includes(name)) : [];
    expect(found.filter((name) => !outputs.includes(name))).toEqual(info.references);
    expect(outputs.every((name) => !name.endsWith(".drv"))).toBe(true);
    expect(seen.at(-1)).toBe(info.narSize);
    expect(await scanReferences(store, node, [])).toEqual([]);
  },
);

test("a self-reference is found among others, and an abort ends the scan", async () => {
  const hello = INFOS.find(({ info }) => info.storePath.endsWith("-hello-tvix-1.0"));
  if (!hello) throw new Error("the sample has no hello");
  expect(hello.info.references).toEqual([hello.info.storePath.slice("/nix/store/".length)]);
  const store = createMemoryStore();
  const controller = new AbortController();
  controller.abort(new Error("enough"));
  await expect(
    scanReferences(store, { kind: "symlink", target: new Uint8Array([1]) }, ALL, { signal: controller.signal }),
  ).rejects.toThrow("enough");
});
