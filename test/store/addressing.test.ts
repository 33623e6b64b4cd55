import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { utf8 } from "../../src/bytes.ts";
import type { ContentAddressMethod } from "../../src/nix/content-address.ts";
import type { Derivation } from "../../src/nix/derivation.ts";
import { formatDerivation } from "../../src/nix/derivation-file.ts";
import { outputPaths, withOutputPaths } from "../../src/nix/derivation-paths.ts";
import type { HashAlgorithm } from "../../src/nix/hash.ts";
import { checkContentAddress } from "../../src/store/content-address-check.ts";
import { importFile, importNar } from "../../src/store/import.ts";
import { importDerivation } from "../../src/store/import-derivation.ts";
import { pathInfosToJson } from "../../src/store/path-info-json.ts";
import { fixture, fixtureText } from "../nix/fixture.ts";
import { archive, table } from "../nix/nix-2.34.ts";
import { engine, failure, Source } from "./fixtures.ts";

interface Known {
  path: string;
  narHash: string;
  narSize: number;
  references: string[];
  ca: string;
}
/**
 * Output of `nix path-info --json` for the paths that make-fixtures.sh added to a store with real
 * Nix.
 */
const KNOWN: Known[] = ["content-addressed.path-info", "derivation.path-info"].flatMap((name) => JSON.parse(fixtureText(name)));

/**
 * Results of `nix store add` of Nix 2.34: archive, method, algorithm, store path, content address.
 */
const ADDED = table("added") as [name: string, method: string, algorithm: string, path: string, ca: string][];

const ALGORITHMS = ["md5", "sha1", "sha256", "sha512"] as const;

function known(name: string, ca: string): Known {
  const found = KNOWN.find((info) => info.path.endsWith(`-${name}`) && info.ca.startsWith(ca));
  if (!found) throw new Error(`there is no fixture ${name} with ${ca}`);
  return found;
}

test.each(ALGORITHMS)("a tree by the %s of its NAR gets the path of nix-store --add-fixed --recursive", async (hashAlgorithm) => {
  const expected = known("plain", `fixed:r:${hashAlgorithm}:`);
  const info = await importNar(createMemoryStore(), engine, new Source(fixture("ls/plain.nar")), { name: "plain", hashAlgorithm });
  expect(pathInfosToJson([info], "array")).toEqual([expected]);
});

test.each(ALGORITHMS)("a file by the %s of its bytes gets the path of nix-store --add-fixed", async (hashAlgorithm) => {
  const expected = known("flat", `fixed:${hashAlgorithm}:`);
  const options = { name: "flat", method: "flat", hashAlgorithm } as const;
  const info = await importFile(createMemoryStore(), engine, new Source(utf8("flat\n")), options);
  expect(pathInfosToJson([info], "array")).toEqual([expected]);
});

describe("by Nix 2.34", () => {
  test("there are fixtures of each kind", () => {
    const kinds = new Set(ADDED.map(([, method, algorithm]) => `${method} ${algorithm}`));
    expect([...kinds].sort()).toEqual(["flat blake3", "git sha1", "git sha256", "nar blake3"]);
  });

  test.each(ADDED)("%s by %s %s", async (name, method, algorithm, storePath, ca) => {
    const store = createMemoryStore();
    const options = { name, method: method as ContentAddressMethod, hashAlgorithm: algorithm as HashAlgorithm };
    const info = await importNar(store, engine, new Source(archive(name)), options);
    expect(info).toMatchObject({ storePath, ca, references: [] });
    await checkContentAddress(store, engine, info);

    const other = await importNar(store, engine, new Source(fixture("ls/plain.nar")), { name: "other" });
    if (method === "flat") return;
    const wrong = { ...info, node: other.node, narHash: other.narHash, narSize: other.narSize };
    expect(await failure(checkContentAddress(store, engine, wrong))).toMatchObject({ code: "corrupt" });
  });

  test("an executable keeps its bit as a git blob, although a git blob's hash doesn't cover the bit", async () => {
    const options = { name: "x", method: "git", hashAlgorithm: "sha1" } as const;
    const executable = await importNar(createMemoryStore(), engine, new Source(fixture("executable.nar")), options);
    const content = utf8("#!/bin/sh\necho hello\n");
    const plain = await importFile(createMemoryStore(), engine, new Source(content), options);
    expect(executable.node).toMatchObject({ executable: true });
    expect(plain.node).toMatchObject({ executable: false });
    expect(executable.storePath).toBe(plain.storePath);
  });
});

test("an executable with a flat content address is hashed and stored as a plain file", async () => {
  const store = createMemoryStore();
  const executable = await importNar(store, engine, new Source(fixture("executable.nar")), { name: "hello", method: "flat" });
  const plain = await importFile(store, engine, new Source(utf8("#!/bin/sh\necho hello\n")), { name: "hello", method: "flat" });
  expect(executable).toEqual(plain);
});

test("texts and a derivation with references get the paths of builtins.toFile and nix-instantiate", async () => {
  const store = createMemoryStore();
  const [a, b, c] = ["text-a", "text-b", "text-c"].map((name) => known(name, "text:")) as [Known, Known, Known];
  const text = (name: string, content: string, references: string[]) =>
    importFile(store, engine, new Source(utf8(content)), { name, method: "text", references });

  expect(await failure(text("text-b", `b ${a.path}`, [a.path]))).toMatchObject({ code: "not-found" });
  const infos = [
    await text("text-a", "a", []),
    await text("text-b", `b ${a.path}`, [a.path]),
    // References may come in any form, order and number.
    await text("text-c", `c ${b.path} ${a.path}`, [b.path, a.path.slice(11, 43), b.path.slice(11)]),
  ];
  expect(pathInfosToJson(infos, "array")).toEqual([a, b, c]);

  const drv = known("sample.drv", "text:");
  const bytes = await sampleDerivation();
  const derivation = await importDerivation(store, engine, bytes, { name: "sample.drv" });
  expect(pathInfosToJson([derivation], "object")).toEqual({ [drv.path]: omitPath(drv) });
  expect(await importDerivation(store, engine, bytes, { name: drv.path.slice(11) })).toEqual(derivation);
});

const PATH = "/nix/store/1hryix9h2wg9adnmdq32a04c7kqxxh01-plain";

test.each([
  ["a name that can't be", { name: "a b" }],
  ["a text by another hash", { name: "x", method: "text", hashAlgorithm: "sha1" }],
  ["bytes with references", { name: "x", method: "flat", references: [PATH] }],
  ["a NAR by another hash with references", { name: "x", hashAlgorithm: "sha1", references: [PATH] }],
  ["a reference that is none", { name: "x", method: "text", references: ["/etc/passwd"] }],
  ["an unknown method", { name: "x", method: "tar" as "nar" }],
  ["an unknown hash", { name: "x", hashAlgorithm: "sha3" as "md5" }],
  ["a git object by another hash", { name: "x", method: "git", hashAlgorithm: "blake3" }],
  ["a git object with references", { name: "x", method: "git", references: [PATH] }],
  ["a NAR by BLAKE3 with references", { name: "x", hashAlgorithm: "blake3", references: [PATH] }],
] as const)("%s is refused before anything is read", async (_, options) => {
  const source = new Source(utf8("x"));
  expect(await failure(importFile(createMemoryStore(), engine, source, options))).toMatchObject({ code: "invalid" });
  expect(source.pulled).toBe(0);
});

test("only a file can have a flat content address", async () => {
  const store = createMemoryStore();
  for (const nar of ["directory.nar", "symlink.nar"]) {
    for (const method of ["flat", "text"] as const) {
      const importing = importNar(store, engine, new Source(fixture(nar)), { name: "x", method });
      expect(await failure(importing)).toMatchObject({ code: "invalid" });
    }
  }
});

/**
 * The derivation that make-fixtures.sh instantiates. Its store path shows whether these bytes are
 * right.
 */
async function sampleDerivation(): Promise<Uint8Array> {
  const c = known("text-c", "text:").path;
  const derivation: Derivation = {
    name: "sample",
    outputs: new Map([["out", { kind: "input-addressed" }]]),
    inputDerivations: new Map(),
    inputSources: new Set([c]),
    system: "x86_64-linux",
    builder: "/bin/sh",
    arguments: [c],
    environment: new Map(Object.entries({ builder: "/bin/sh", name: "sample", out: "", system: "x86_64-linux" })),
  };
  const noInput = () => {
    throw new Error("it has no inputs");
  };
  return formatDerivation(withOutputPaths(derivation, await outputPaths(derivation, noInput)));
}

function omitPath({ path: _, ...rest }: Known): Omit<Known, "path"> {
  return rest;
}
