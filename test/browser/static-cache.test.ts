import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { importStaticCache } from "../../src/browser/static-cache.ts";
import type { Store } from "../../src/browser/store.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { isStoreError } from "../../src/error.ts";
import type { Progress } from "../../src/progress.ts";
import { renderNarInfo } from "../../src/store/nar-info.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { iterate } from "../../src/stream.ts";

const BASE = "https://site.example/cache/";

function pathInfo(letter: string): PathInfo {
  return {
    storePath: `/nix/store/${letter.repeat(32)}-path`,
    node: { kind: "symlink", target: utf8("elsewhere") },
    narHash: `sha256-${"A".repeat(43)}=`,
    narSize: 1000,
    references: [],
    signatures: [],
  };
}

/** Files by URL. */
let files: Map<string, string>;
let requests: string[];

beforeEach(() => {
  files = new Map();
  requests = [];
  vi.stubGlobal("location", { href: "https://site.example/page/index.html" });
  vi.stubGlobal("fetch", async (input: string | URL | Request) => {
    const url = input instanceof Request ? input.url : String(input);
    requests.push(url);
    const content = files.get(url);
    return content === undefined ? new Response("none", { status: 404 }) : new Response(content);
  });
});
afterEach(() => void vi.unstubAllGlobals());

const nameOf = (letter: string): string => `${letter.repeat(32)}.narinfo`;

/** Serves a cache with these paths. The content of each NAR is the letter of its path. */
function serve(letters: string, base = BASE): void {
  files.set(`${base}index.json`, JSON.stringify([...letters].map(nameOf)));
  for (const letter of letters) {
    const narInfo = renderNarInfo(pathInfo(letter));
    const url = /^URL: (.*)$/m.exec(narInfo)?.[1] ?? "";
    const own = `nar/${letter}.nar`;
    files.set(`${base}${nameOf(letter)}`, narInfo.replace(url, own).replace(/^FileSize: .*\n/m, ""));
    files.set(`${base}${own}`, letter);
  }
}

interface Imported {
  readonly letter: string;
  readonly narInfo: string;
  readonly options: string[];
}

/** A store that has these paths, and that records its imports. */
function fakeStore(known = ""): { store: Store; imports: Imported[] } {
  const imports: Imported[] = [];
  const store = {
    pathInfo: async (storePath: string) => [...known].map(pathInfo).find((info) => info.storePath === storePath),
    importNar: async (nar: ReadableStream<Uint8Array>, { narInfo, ...options }: { narInfo: string }) => {
      const parts: Uint8Array[] = [];
      for await (const bytes of iterate(nar)) parts.push(bytes);
      const letter = new TextDecoder().decode(concatBytes(parts));
      imports.push({ letter, narInfo, options: Object.keys(options) });
      return pathInfo(letter);
    },
  };
  return { store: store as unknown as Store, imports };
}

async function failure(promise: Promise<unknown>): Promise<string> {
  const error: unknown = await promise.then(
    () => "none",
    (error: unknown) => error,
  );
  return isStoreError(error) ? error.code : String(error);
}

describe("a cache of static files", () => {
  test("is imported in the order of its index, with progress", async () => {
    serve("bac");
    const { store, imports } = fakeStore();
    const told: Progress[] = [];
    const infos = await importStaticCache(store, BASE, { onProgress: (progress) => told.push(progress) });
    expect(infos).toEqual([..."bac"].map(pathInfo));
    expect(imports.map(({ letter }) => letter)).toEqual([..."bac"]);
    expect(imports[0]?.narInfo).toBe(files.get(BASE + nameOf("b")));
    expect(told).toEqual([0, 1, 2, 3].map((loaded) => ({ phase: "store paths", unit: "paths", loaded, total: 3 })));
  });

  test("needs no NAR of a path that the store has", async () => {
    serve("ab");
    const { store, imports } = fakeStore("a");
    expect(await importStaticCache(store, BASE)).toEqual([..."ab"].map(pathInfo));
    expect(imports.map(({ letter }) => letter)).toEqual(["b"]);
    expect(requests).not.toContain(`${BASE}nar/a.nar`);
  });

  test("may lie relative to the page, and may be empty", async () => {
    serve("a", "https://site.example/page/sample/");
    const { store } = fakeStore();
    expect(await importStaticCache(store, "sample/")).toEqual([pathInfo("a")]);
    serve("", BASE);
    expect(await importStaticCache(store, new URL(BASE))).toEqual([]);
  });

  test("passes the signal on to the store, if there is one", async () => {
    serve("a");
    const { store, imports } = fakeStore();
    await importStaticCache(store, BASE);
    await importStaticCache(store, BASE, { signal: new AbortController().signal });
    expect(imports.map(({ options }) => options)).toEqual([[], ["signal"]]);
    await expect(importStaticCache(store, BASE, { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
  });
});

describe("an index is invalid if", () => {
  test.each<[string, string]>([
    ["it is no JSON", "[,"],
    ["it is no list", `{"length":0}`],
    ["an item is no text", "[7]"],
    ["a name is no hash part", JSON.stringify([`${"e".repeat(32)}.narinfo`])],
    ["a name is too short", JSON.stringify([`${"a".repeat(31)}.narinfo`])],
    ["a name leads elsewhere", JSON.stringify([`../${nameOf("a")}`])],
    ["a name has another ending", JSON.stringify([`${nameOf("a")}?`])],
    ["it lists more than 10,000 paths", JSON.stringify(new Array(10_001).fill(nameOf("a")))],
    ["it is longer than a MiB", `[]${" ".repeat(1024 * 1024 - 1)}`],
  ])("%s", async (_, text) => {
    serve("a");
    files.set(`${BASE}index.json`, text);
    const { store, imports } = fakeStore();
    expect(await failure(importStaticCache(store, BASE))).toBe("invalid");
    expect(requests).toEqual([`${BASE}index.json`]);
    expect(imports).toEqual([]);
  });

  test.each<[string, string, string]>([
    ["10,000 paths", JSON.stringify(new Array(10_000).fill(nameOf("d"))), "not-found"],
    ["a MiB", `[]${" ".repeat(1024 * 1024 - 2)}`, "none"],
  ])("but not at the limit of %s", async (_, text, code) => {
    files.set(`${BASE}index.json`, text);
    expect(await failure(importStaticCache(fakeStore().store, BASE))).toBe(code);
  });
});

describe("a file that is missing is not-found:", () => {
  test.each(["index.json", nameOf("a"), "nar/a.nar"])("%s", async (name) => {
    serve("ba");
    files.delete(BASE + name);
    const { store, imports } = fakeStore();
    expect(await failure(importStaticCache(store, BASE))).toBe("not-found");
    // Paths before it stay.
    expect(imports.map(({ letter }) => letter)).toEqual(name === "index.json" ? [] : ["b"]);
  });
});

test("a NARInfo that is malformed is invalid", async () => {
  serve("a");
  files.set(BASE + nameOf("a"), "StorePath: nothing else\n");
  expect(await failure(importStaticCache(fakeStore().store, BASE))).toBe("invalid");
});
