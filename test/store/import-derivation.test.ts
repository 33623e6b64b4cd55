import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { equalBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { Derivation } from "../../src/nix/derivation.ts";
import { formatDerivation, parseDerivation } from "../../src/nix/derivation-file.ts";
import { withOutputPaths } from "../../src/nix/derivation-paths.ts";
import { parseHashPart, parseStorePath } from "../../src/nix/store-path.ts";
import { importDerivation } from "../../src/store/import-derivation.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { LocalStoreServices } from "../../src/store/services.ts";
import { engine, failure } from "./fixtures.ts";

test.each([
  ["2.8", "derivations"],
  ["2.34", "nix-2.34/derivations"],
])("derivations of Nix %s are imported after their inputs, under their own store paths", async (_, folder) => {
  const store = createMemoryStore();
  const dir = join(import.meta.dirname, "../nix", folder);
  const names = readdirSync(dir).filter((name) => name.endsWith(".drv"));
  expect(names.length).toBeGreaterThan(10);
  const left = new Map<string, Derivation>();
  for (const name of names) {
    const derivation = parseDerivation(derivationFile(name, folder), parseStorePath(name).name.slice(0, -".drv".length));
    left.set(`/nix/store/${name}`, derivation);
    for (const storePath of derivation.inputSources)
      if (!names.includes(storePath.slice(11))) await store.pathInfos.put({ ...SOURCE, storePath });
  }
  const inputs = ({ inputSources, inputDerivations }: Derivation) => [...new Set([...inputSources, ...inputDerivations.keys()])];
  const imported = (path: string) =>
    importDerivation(store, engine, derivationFile(path.slice(11), folder), { name: path.slice(11) });
  while (left.size > 0) {
    const ready = [...left].filter(([, derivation]) => !inputs(derivation).some((path) => left.has(path)));
    for (const path of left.keys()) {
      if (ready.some(([one]) => one === path)) continue;
      expect(await failure(imported(path))).toMatchObject({ code: "not-found" });
    }
    for (const [path, derivation] of ready) {
      const info = await imported(path);
      expect(info.storePath).toBe(path);
      expect(info.references).toEqual(
        inputs(derivation)
          .map((reference) => reference.slice(11))
          .sort(),
      );
    }
    for (const [path] of ready) left.delete(path);
    expect(ready).not.toEqual([]);
  }
});

test("an output path below dynamic inputs is unknown as in Nix 2.35, or that of Nix 2.34", async () => {
  const folder = "nix-2.34/derivations";
  const store = createMemoryStore();
  await importDerivation(store, engine, derivationFile("7rnz720ha1j3x5w57g15kp5csxaasbvs-known.drv.drv", folder), {
    name: "known.drv.drv",
  });
  const name = "b6z1bn2scl2k23cajxjkf1a7qmk96yjs-dynamic-known.drv";
  const derivation = parseDerivation(derivationFile(name, folder), "dynamic-known");
  const changed = (path: string | undefined) => {
    const known = path === undefined ? undefined : parseStorePath(path);
    const paths = new Map([...derivation.outputs.keys()].map((output) => [output, known] as const));
    return formatDerivation(withOutputPaths(derivation, paths));
  };
  await importDerivation(store, engine, derivationFile(name, folder), { name });
  const imported = await importDerivation(store, engine, changed(undefined), { name: "dynamic-known.drv" });
  expect(imported.storePath).not.toBe(`/nix/store/${name}`);
  const other = changed("/nix/store/00000000000000000000000000000000-dynamic-known");
  expect(await failure(importDerivation(store, engine, other, { name: "dynamic-known.drv" }))).toMatchObject({ code: "invalid" });
});

/** A source that the derivation refers to and that the fixtures lack. */
const SOURCE: PathInfo = {
  storePath: "",
  node: { kind: "symlink", target: utf8("x") },
  narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  narSize: 112,
  references: [],
  signatures: [],
};

test.each([
  ["another name", (bytes: Uint8Array) => bytes, "00000000000000000000000000000000-base.drv", "corrupt"],
  ["no derivation", () => utf8("Derive()"), "base.drv", "invalid"],
  ["not Nix's way to write it", (bytes: Uint8Array) => swapped(bytes), "base.drv", "invalid"],
  ["not a derivation's name", (bytes: Uint8Array) => bytes, "base", "invalid"],
  ["an output's path that does not follow from it", withOtherOutput, "base.drv", "invalid"],
])("a derivation with %s is refused", async (_, spoil, name, code) => {
  const bytes = spoil(derivationFile("fcmry67dw5g6mrk3hz3l42idyk7djb8a-base.drv"));
  expect(await failure(importDerivation(createMemoryStore(), engine, bytes, { name }))).toMatchObject({ code });
});

function withOtherOutput(bytes: Uint8Array): Uint8Array {
  const derivation = parseDerivation(bytes, "base");
  const path = parseStorePath("/nix/store/00000000000000000000000000000000-base");
  return formatDerivation(withOutputPaths(derivation, new Map([["out", path]])));
}

/** Swaps two environment variables of a derivation. */
function swapped(bytes: Uint8Array): Uint8Array {
  const text = new TextDecoder().decode(bytes);
  const changed = text.replace(/(\("builder","[^"]*"\)),(\("[^"]*","[^"]*"\))/, "$2,$1");
  expect(changed).not.toBe(text);
  return utf8(changed);
}

function derivationFile(name: string, folder = "derivations"): Uint8Array {
  return new Uint8Array(readFileSync(join(import.meta.dirname, "../nix", folder, name)));
}

describe("an input that is a derivation", () => {
  const folder = "nix-2.34/derivations";
  const INPUT = "7rnz720ha1j3x5w57g15kp5csxaasbvs-known.drv.drv";
  const OUTER = "b6z1bn2scl2k23cajxjkf1a7qmk96yjs-dynamic-known.drv";

  async function withInput(change: (info: PathInfo, store: LocalStoreServices) => Promise<PathInfo | undefined>) {
    const store = createMemoryStore();
    const info = await importDerivation(store, engine, derivationFile(INPUT, folder), { name: INPUT });
    await store.pathInfos.delete(parseHashPart(info.storePath));
    const changed = await change(info, store);
    if (changed) await store.pathInfos.put(changed);
    return importDerivation(store, engine, derivationFile(OUTER, folder), { name: OUTER });
  }

  test("is read from the store", async () => {
    expect((await withInput(async (info) => info)).storePath).toBe(`/nix/store/${OUTER}`);
  });

  test.each<[string, (info: PathInfo) => PathInfo | undefined, string]>([
    ["that is missing", () => undefined, "not-found"],
    ["whose content is missing", (info) => ({ ...info, node: file(digestOf(utf8("none")), 4n) }), "not-found"],
    ["that is a symlink", (info) => ({ ...info, node: { kind: "symlink", target: utf8("x") } }), "invalid"],
    ["that has more than 64 MiB", (info) => ({ ...info, node: file(digestOf(utf8("none")), 2n ** 26n + 1n) }), "invalid"],
    ["that may have 64 MiB, but is missing", (info) => ({ ...info, node: file(digestOf(utf8("none")), 2n ** 26n) }), "not-found"],
  ])("%s is refused", async (_, change, code) => {
    expect(await failure(withInput(async (info) => change(info)))).toMatchObject({ name: "StoreError", code });
  });

  test("that is no derivation is refused", async () => {
    const importing = withInput(async (info, store) => {
      const [digest] = await store.blobs.putMany([utf8("text")]);
      return digest && { ...info, node: file(digest, 4n) };
    });
    expect(await failure(importing)).toMatchObject({ code: "invalid" });
  });

  test("is read once, though its hash is needed by two rules", async () => {
    const store = createMemoryStore();
    const { node } = await importDerivation(store, engine, derivationFile(INPUT, folder), { name: INPUT });
    const opened: unknown[] = [];
    const { open } = store.blobs;
    store.blobs.open = (...args) => {
      opened.push(args[0]);
      return open.apply(store.blobs, args);
    };
    await importDerivation(store, engine, derivationFile(OUTER, folder), { name: OUTER });
    const { digest } = node as Extract<typeof node, { kind: "file" }>;
    expect(opened.filter((one) => one instanceof Uint8Array && equalBytes(one, digest))).toHaveLength(1);
  });

  const file = (digest: ReturnType<typeof digestOf>, size: bigint) => ({ kind: "file", digest, size, executable: false }) as const;
});

test("an abort ends the import with its reason, and stores nothing", async () => {
  const store = createMemoryStore();
  const reason = new Error("enough");
  const bytes = derivationFile("fcmry67dw5g6mrk3hz3l42idyk7djb8a-base.drv");
  const importing = importDerivation(store, engine, bytes, { name: "base.drv", signal: AbortSignal.abort(reason) });
  expect(await failure(importing)).toBe(reason);
  for await (const info of store.pathInfos.list()) expect(info).toBeUndefined();
});
