/**
 * Keeps the viewer's own files, so that the viewer opens without a network after one visit. It does
 * not touch requests for other files: calls to a daemon, binary caches, other origins.
 *
 * The build puts the list of files, `self.precache`, in front of this script. The list is part of
 * the script, so every change of a file gives the browser a new service worker. It also lets the
 * `fetch` handler recognise our files synchronously.
 */

interface Precache {
  /** Version of the viewer; changes with every file. */
  version: string;
  /**
   * Digests by address, relative to the scope, in the form of HTML's `integrity`:
   * `sha256-<base64>`.
   */
  files: Record<string, string>;
}

const worker = self as unknown as ServiceWorkerGlobalScope & { precache?: Precache };

const PREFIX = "tvix-store-web-viewer:";
const { version, files } = worker.precache ?? { version: "none", files: {} };
const CACHE = PREFIX + version;

worker.addEventListener("install", (event) => event.waitUntil(install()));

worker.addEventListener("activate", (event) => event.waitUntil(activate()));

worker.addEventListener("message", (event) => {
  // A page asks for the new version. Otherwise, the new version waits until no page of the old one
  // is open, so a page never gets files of another version.
  if (event.data === "activate") event.waitUntil(worker.skipWaiting());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method !== "GET" || request.headers.has("range")) return;
  const url = new URL(request.url);
  const scope = new URL(worker.registration.scope);
  if (url.origin !== scope.origin || !url.pathname.startsWith(scope.pathname)) return;
  // Names in the list contain no characters that need escapes, so an escaped path is not in the
  // list.
  const path = url.pathname.slice(scope.pathname.length) || "index.html";
  if (Object.hasOwn(files, path)) event.respondWith(answer(request, new URL(path, scope).href));
});

async function answer(request: Request, key: string): Promise<Response> {
  // The cache is opened by name, because `caches.match` would also search a version that is being
  // installed.
  const cache = await caches.open(CACHE);
  return (await cache.match(key, { ignoreVary: true })) ?? fetch(request);
}

/** Keeps all files or none. If a file fails, the previous version stays. */
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
  // The browser checks the digest, so a deployment during the installation can't mix two versions.
  const response = await fetch(url, { integrity, cache: "no-cache" });
  if (!response.ok) throw new Error(`${path}: status ${response.status}`);
  // A redirected response must not answer a navigation.
  await cache.put(url, response.redirected ? new Response(response.body, { headers: response.headers }) : response);
}

async function activate(): Promise<void> {
  for (const name of await caches.keys()) {
    if (name.startsWith(PREFIX) && name !== CACHE) await caches.delete(name);
  }
  // The service worker now also serves the page of the first visit and that page's workers.
  await worker.clients.claim();
}

export {};
