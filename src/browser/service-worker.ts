/**
 * Keeps the viewer's own files, so that it opens without a network after one visit. Whatever is not on its list - calls to a daemon,
 * binary caches, other origins - it does not answer at all.
 *
 * The list is `self.precache`, set ahead of this script by the build: it is part of the script, so any change of a file is a new
 * service worker to the browser, and which requests are ours is known without waiting.
 */

interface Precache {
  /** Changes with any file. */
  version: string;
  /** By address, relative to the scope; the value is what HTML calls `integrity`: `sha256-<base64>`. */
  files: Record<string, string>;
}

const worker = self as unknown as ServiceWorkerGlobalScope & { precache?: Precache };

const PREFIX = "tvix-store-web-viewer:";
const { version, files } = worker.precache ?? { version: "none", files: {} };
const CACHE = PREFIX + version;

worker.addEventListener("install", (event) => event.waitUntil(install()));

worker.addEventListener("activate", (event) => event.waitUntil(activate()));

worker.addEventListener("message", (event) => {
  // A page asks for the new version. Without that it waits until no page of the old one is open: a page never meets another version's files.
  if (event.data === "activate") event.waitUntil(worker.skipWaiting());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || request.headers.has("range")) return;
  const url = new URL(request.url);
  const scope = new URL(worker.registration.scope);
  if (url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  // The list's names need no escapes, so that what has some is not on it.
  const path = url.pathname.slice(scope.pathname.length) || "index.html";
  if (Object.hasOwn(files, path)) event.respondWith(answer(request, new URL(path, scope).href));
});

async function answer(request: Request, key: string): Promise<Response> {
  // By name: `caches.match` would also look into a version that is being installed.
  const cache = await caches.open(CACHE);
  return (await cache.match(key, { ignoreVary: true })) ?? fetch(request);
}

/** All files or nothing: what fails here leaves the version that was there before. */
async function install(): Promise<void> {
  await caches.delete(CACHE);
  const cache = await caches.open(CACHE);
  const queue = Object.entries(files);
  const fetchFiles = async () => {
    for (let next = queue.pop(); next; next = queue.pop()) await keep(cache, ...next);
  };
  try {
    await Promise.all(Array.from({ length: 6 }, fetchFiles));
  } catch (error) {
    await caches.delete(CACHE);
    throw error;
  }
}

async function keep(cache: Cache, path: string, integrity: string): Promise<void> {
  const url = new URL(path, worker.registration.scope).href;
  // The browser checks the digest, so that a deployment which changes meanwhile can't leave a mixture.
  const response = await fetch(url, { integrity, cache: "no-cache" });
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  // A response that was redirected may not answer a navigation.
  await cache.put(url, response.redirected ? new Response(response.body, { headers: response.headers }) : response);
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  // The page of the first visit is served from now on too, its workers included.
  await worker.clients.claim();
}

export {};
