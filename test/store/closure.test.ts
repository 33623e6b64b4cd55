import { describe, expect, test } from "vitest";
import { createMemoryStore, MemoryPathInfoService } from "../../src/backends/memory.ts";
import { closureOf, pathInfosOf, requirePathInfo } from "../../src/store/closure.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import type { PathInfoService } from "../../src/store/path-info-service.ts";
import { failure } from "./fixtures.ts";

const baseName = (name: string): string => `${name.padStart(32, "0")}-${name}`;
const storePath = (name: string): string => `/nix/store/${baseName(name)}`;

function pathInfo(name: string, references: readonly string[]): PathInfo {
  return {
    storePath: storePath(name),
    node: { kind: "symlink", target: new Uint8Array([0x61]) },
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 120,
    references: references.map(baseName).sort(),
    signatures: [],
  };
}

async function service(graph: Record<string, string>): Promise<PathInfoService> {
  const pathInfos = new MemoryPathInfoService();
  for (const [name, references] of Object.entries(graph)) await pathInfos.put(pathInfo(name, references.split("").filter(Boolean)));
  return pathInfos;
}

const names = (infos: readonly PathInfo[]): string => infos.map((info) => info.storePath.at(-1)).join("");

describe("closureOf", () => {
  test.each([
    ["one path", { a: "" }, "a", "a"],
    ["a chain", { a: "b", b: "c", c: "" }, "a", "cba"],
    ["a diamond, each once", { a: "bc", b: "d", c: "d", d: "" }, "a", "dbca"],
    ["a path that refers to itself", { a: "ab", b: "b" }, "a", "ba"],
    ["several roots, one inside the other's closure", { a: "b", b: "", c: "b" }, "bac", "bac"],
    ["not what refers to a root", { a: "b", b: "" }, "b", "b"],
  ])("%s", async (_, graph, roots, expected) => {
    expect(names(await closureOf(await service(graph), roots.split("").map(storePath)))).toBe(expected);
  });

  test("accepts base names and hash parts", async () => {
    const pathInfos = await service({ a: "b", b: "" });
    expect(names(await closureOf(pathInfos, [baseName("a")]))).toBe("ba");
    expect(names(await closureOf(pathInfos, [baseName("a").slice(0, 32)]))).toBe("ba");
  });

  test("handles a chain of 10,000 paths", async () => {
    const pathInfos = new MemoryPathInfoService();
    const name = (i: number): string => `p${String(i).padStart(5, "0")}`;
    for (let i = 0; i < 10_000; i++) await pathInfos.put(pathInfo(name(i), i === 0 ? [] : [name(i - 1)]));
    const closure = await closureOf(pathInfos, [storePath(name(9999))]);
    expect(closure.map((info) => info.storePath)).toEqual(Array.from({ length: 10_000 }, (_, i) => storePath(name(i))));
  });

  test("names a missing path and the path that refers to it", async () => {
    const error = await failure(closureOf(await service({ a: "b", b: "cd", d: "" }), [storePath("a")]));
    expect(error).toMatchObject({ code: "not-found" });
    expect(String(error)).toContain(baseName("c"));
    expect(String(error)).toContain(storePath("b"));
  });

  test("rejects cycles", async () => {
    const error = await failure(closureOf(await service({ a: "b", b: "c", c: "b" }), [storePath("a")]));
    expect(error).toMatchObject({ code: "invalid" });
  });

  test("rejects a reference whose name differs from the path's", async () => {
    const pathInfos = await service({ b: "" });
    await pathInfos.put({ ...pathInfo("a", []), references: [`${baseName("b")}x`] });
    expect(await failure(closureOf(pathInfos, [storePath("a")]))).toMatchObject({ code: "invalid" });
  });

  test("rejects a service that returns another path", async () => {
    const pathInfos: PathInfoService = { ...createMemoryStore().pathInfos, get: async () => pathInfo("b", []) };
    expect(await failure(closureOf(pathInfos, [storePath("a")]))).toMatchObject({ code: "corrupt" });
  });

  test("rejects an invalid store path, and stops at an abort", async () => {
    const pathInfos = await service({ a: "" });
    expect(await failure(closureOf(pathInfos, ["a"]))).toMatchObject({ code: "invalid" });
    const reason = new Error("enough");
    expect(await failure(closureOf(pathInfos, [storePath("a")], { signal: AbortSignal.abort(reason) }))).toBe(reason);
  });

  test("aborts a request that waits", async () => {
    const abort = new AbortController();
    const reason = new Error("enough");
    const get = (_: string, { signal }: { signal?: AbortSignal | undefined } = {}): Promise<undefined> =>
      new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(signal.reason));
        abort.abort(reason);
      });
    expect(await failure(closureOf({ get }, [storePath("a")], { signal: abort.signal }))).toBe(reason);
  });

  test("refuses more than 250,000 store paths before it asks for them", async () => {
    const hashPart = (i: number): string => String(i).padStart(32, "0");
    const references = Array.from({ length: 250_000 }, (_, i) => `${hashPart(i + 1)}-x`);
    let asked = 0;
    const get = async (hash: string) => {
      asked++;
      return { storePath: `/nix/store/${hash}-x`, references };
    };
    expect(await failure(closureOf({ get }, [hashPart(0)]))).toMatchObject({ code: "invalid" });
    expect(asked).toBe(1);
  });

  test("reports paths that can't be read, and goes on without them and without what only they need", async () => {
    const failures: string[] = [];
    const closure = await closureOf(await service({ a: "bc", c: "" }), [storePath("a")], {
      onFailure: (path, error) => failures.push(`${path} ${error.code}`),
    });
    expect(names(closure)).toBe("ca");
    expect(failures).toEqual([`${baseName("b")} not-found`]);
  });
});

test("many path infos are requested once each, at most 16 at a time, and come in the given order", async () => {
  const wanted = Array.from({ length: 40 }, (_, i) => storePath(`p${i}`));
  let open = 0;
  let most = 0;
  const asked: string[] = [];
  const get = async (hashPart: string) => {
    most = Math.max(most, ++open);
    asked.push(hashPart);
    await new Promise((resolve) => setTimeout(resolve, 1));
    open--;
    return { storePath: wanted.find((path) => path.includes(hashPart)) as string, references: [] };
  };
  const infos = await pathInfosOf({ get }, [...wanted, wanted[0] as string]);
  expect(infos.map((info) => info.storePath)).toEqual(wanted);
  expect(asked).toHaveLength(wanted.length);
  expect(most).toBe(16);
});

test("a path that the store has under another name is not found, but its hash part is", async () => {
  const pathInfos = await service({ a: "" });
  const hashPart = baseName("a").slice(0, 32);
  expect(await requirePathInfo(pathInfos, hashPart)).toMatchObject({ storePath: storePath("a") });
  expect(await requirePathInfo(pathInfos, baseName("a"))).toMatchObject({ storePath: storePath("a") });
  expect(await failure(requirePathInfo(pathInfos, `/nix/store/${hashPart}-b`))).toMatchObject({ code: "not-found" });
});
