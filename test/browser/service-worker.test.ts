import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const SCOPE = "https://site.example/viewer/";
const PRECACHE = { version: "2", files: { "index.html": "sha256-index", "main.js": "sha256-main", "a/b.css": "sha256-css" } };

type Listener = (event: unknown) => void;

/** Caches in memory: keys and their answers. */
class MemoryCaches {
  readonly all = new Map<string, Map<string, Response>>();

  async open(name: string) {
    const entries = this.all.get(name) ?? new Map<string, Response>();
    this.all.set(name, entries);
    return {
      match: async (key: string) => entries.get(key)?.clone(),
      put: async (key: string, response: Response) => void entries.set(key, response),
    };
  }

  async keys(): Promise<string[]> {
    return [...this.all.keys()];
  }

  async delete(name: string): Promise<boolean> {
    return this.all.delete(name);
  }
}

const caches = new MemoryCaches();
const listeners = new Map<string, Listener>();
const requests: { url: string; integrity: string | undefined; cache: string | undefined }[] = [];
const calls: string[] = [];
/** Answers to requests by URL; by default each file has its URL as its content. */
let answers: Record<string, () => Response>;

async function start(precache?: typeof PRECACHE): Promise<void> {
  listeners.clear();
  vi.stubGlobal("self", {
    precache,
    registration: { scope: SCOPE },
    clients: { claim: async () => void calls.push("claim") },
    skipWaiting: async () => void calls.push("skipWaiting"),
    addEventListener: (type: string, listener: Listener) => listeners.set(type, listener),
  });
  vi.stubGlobal("caches", caches);
  vi.stubGlobal("fetch", async (input: string | Request, init?: RequestInit) => {
    const url = typeof input === "string" ? input : input.url;
    requests.push({ url, integrity: init?.integrity, cache: init?.cache });
    return answers[url]?.() ?? new Response(`network: ${url}`);
  });
  vi.resetModules();
  await import("../../src/browser/service-worker.ts");
}

beforeEach(async () => {
  caches.all.clear();
  requests.length = 0;
  calls.length = 0;
  answers = {};
  await start(PRECACHE);
});
afterEach(() => void vi.unstubAllGlobals());

/** Dispatches an event, and waits for its work. */
async function dispatch(type: string, event: object = {}): Promise<void> {
  const work: Promise<unknown>[] = [];
  listeners.get(type)?.({ ...event, waitUntil: (promise: Promise<unknown>) => work.push(promise) });
  await Promise.all(work);
}

/** The answer to a request; `undefined` if the service worker leaves it to the browser. */
async function respond(url: string, init?: RequestInit): Promise<string | undefined> {
  let answer: Promise<Response> | undefined;
  const respondWith = (given: Promise<Response>): void => {
    answer = given;
  };
  listeners.get("fetch")?.({ request: new Request(url, init), respondWith });
  return (await answer)?.text();
}

const kept = (version: string): string[] => [...(caches.all.get(`tvix-store-web-viewer:${version}`)?.keys() ?? [])].sort();
const URLS = Object.keys(PRECACHE.files)
  .map((path) => SCOPE + path)
  .sort();

describe("an installation", () => {
  test("keeps all files, which the browser checks against their digests", async () => {
    await dispatch("install");
    expect(kept("2")).toEqual(URLS);
    expect(requests.sort((a, b) => (a.url < b.url ? -1 : 1))).toEqual([
      { url: `${SCOPE}a/b.css`, integrity: "sha256-css", cache: "no-cache" },
      { url: `${SCOPE}index.html`, integrity: "sha256-index", cache: "no-cache" },
      { url: `${SCOPE}main.js`, integrity: "sha256-main", cache: "no-cache" },
    ]);
  });

  test.each<[string, () => Response]>([
    ["is not there", () => new Response("not found", { status: 404 })],
    [
      "does not match its digest",
      () => {
        throw new TypeError("integrity");
      },
    ],
  ])("that fails keeps nothing, and leaves the earlier version: a file %s", async (_, answer) => {
    await (await caches.open("tvix-store-web-viewer:1")).put("key", new Response("earlier"));
    answers[`${SCOPE}main.js`] = answer;
    await expect(dispatch("install")).rejects.toThrow();
    expect(await caches.keys()).toEqual(["tvix-store-web-viewer:1"]);
  });

  test("replaces what an interrupted one left", async () => {
    await (await caches.open("tvix-store-web-viewer:2")).put("left over", new Response("half"));
    await dispatch("install");
    expect(kept("2")).toEqual(URLS);
  });

  test("turns a redirected answer into a plain one, because a navigation refuses it", async () => {
    const redirected = new Response("page", { headers: { "content-type": "text/html" } });
    Object.defineProperty(redirected, "redirected", { value: true });
    answers[`${SCOPE}index.html`] = () => redirected;
    await dispatch("install");
    const found = caches.all.get("tvix-store-web-viewer:2")?.get(`${SCOPE}index.html`);
    expect([found?.redirected, found?.headers.get("content-type"), await found?.text()]).toEqual([false, "text/html", "page"]);
  });
});

test("an activation deletes other versions and no other caches, and serves open pages", async () => {
  for (const name of ["tvix-store-web-viewer:1", "tvix-store-web-viewer:2", "another cache"]) await caches.open(name);
  await dispatch("activate");
  expect(await caches.keys()).toEqual(["tvix-store-web-viewer:2", "another cache"]);
  expect(calls).toEqual(["claim"]);
});

test("a new version waits until a page asks for it", async () => {
  await dispatch("message", { data: "something else" });
  expect(calls).toEqual([]);
  await dispatch("message", { data: "activate" });
  expect(calls).toEqual(["skipWaiting"]);
});

describe("a request", () => {
  beforeEach(async () => {
    await dispatch("install");
    for (const url of URLS) caches.all.get("tvix-store-web-viewer:2")?.set(url, new Response(`kept: ${url}`));
  });

  test.each([
    ["a file", `${SCOPE}main.js`, `${SCOPE}main.js`],
    ["a file with a query", `${SCOPE}a/b.css?x`, `${SCOPE}a/b.css`],
    ["the scope, which is its index", SCOPE, `${SCOPE}index.html`],
  ])("for %s is answered from the cache", async (_, url, key) => {
    expect(await respond(url)).toBe(`kept: ${key}`);
  });

  test("for a file that the cache has lost goes to the network", async () => {
    caches.all.clear();
    expect(await respond(`${SCOPE}main.js`)).toBe(`network: ${SCOPE}main.js`);
  });

  test.each<[string, string, RequestInit?]>([
    ["another origin", "https://other.example/viewer/main.js"],
    ["a path outside of the scope", "https://site.example/main.js"],
    ["a file that is not in the list", `${SCOPE}other.js`],
    ["a name of every object", `${SCOPE}constructor`],
    ["an escaped path", `${SCOPE}main%2ejs`],
    ["a change", `${SCOPE}main.js`, { method: "POST", body: "x" }],
    ["a part of a file", `${SCOPE}main.js`, { headers: { range: "bytes=0-1" } }],
  ])("for %s is left to the browser", async (_, url, init) => {
    expect(await respond(url, init)).toBeUndefined();
  });
});

test("a script without a list of files answers nothing, and can be installed", async () => {
  await start();
  await dispatch("install");
  expect(kept("none")).toEqual([]);
  expect(await respond(SCOPE)).toBeUndefined();
});
