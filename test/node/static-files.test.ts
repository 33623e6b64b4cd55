import { mkdirSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { serveStatic } from "../../src/node/static-files.ts";

let dir: string;
let root: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "tvix-static-"));
  root = join(dir, "viewer");
  mkdirSync(join(root, "assets"), { recursive: true });
  writeFileSync(join(dir, "secret.txt"), "secret");
  writeFileSync(join(root, "index.html"), "<p>viewer");
  writeFileSync(join(root, "assets", "app-1a2b.js"), "run()");
  writeFileSync(join(root, "empty.txt"), "");
  writeFileSync(join(root, "a b.wasm"), "wasm");
  writeFileSync(join(root, ".hidden"), "hidden");
  writeFileSync(join(root, "unknown.xyz"), "?");
  symlinkSync("../secret.txt", join(root, "out.txt"));
  utimesSync(join(root, "index.html"), 1000, 1000);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const get = (url: string, headers = {}, method = "GET") => serveStatic(root, { method, url, headers });

test("serves files with their types, and the index for /", async () => {
  const index = await get("/?query");
  expect(index).toMatchObject({
    status: 200,
    headers: { "content-type": "text/html; charset=utf-8", "content-length": "9", "cache-control": "no-cache" },
  });
  expect(await text(index?.body as Readable)).toBe("<p>viewer");
  expect((await get("/a%20b.wasm"))?.headers["content-type"]).toBe("application/wasm");
  expect((await get("/unknown.xyz"))?.headers["content-type"]).toBe("application/octet-stream");
  expect((await get("/assets/app-1a2b.js"))?.headers["cache-control"]).toContain("immutable");
  expect(await get("/empty.txt")).toMatchObject({ status: 200, body: undefined });
});

test("answers HEAD without a body, and refuses other methods", async () => {
  expect(await get("/", {}, "HEAD")).toMatchObject({ status: 200, headers: { "content-length": "9" }, body: undefined });
  expect(await get("/", {}, "POST")).toMatchObject({ status: 405, headers: { allow: "GET, HEAD" } });
});

test("answers 304 if nothing has changed", async () => {
  const etag = (await get("/", {}, "HEAD"))?.headers.etag ?? "";
  expect(await get("/", { "if-none-match": `"other", W/${etag}` })).toMatchObject({ status: 304 });
  expect((await get("/", { "if-none-match": '"other"', "if-modified-since": new Date(2e6).toUTCString() }, "HEAD"))?.status).toBe(
    200,
  );
  expect((await get("/", { "if-modified-since": new Date(1e6).toUTCString() }))?.status).toBe(304);
  expect((await get("/", { "if-modified-since": new Date(999e3).toUTCString() }, "HEAD"))?.status).toBe(200);
});

test.each([
  "/missing.js",
  "/assets",
  "/assets/",
  "/index.html/",
  "/../secret.txt",
  "/%2e%2e/secret.txt",
  "/assets/..%2f..%2f..%2fsecret.txt",
  "/..%5csecret.txt",
  "/out.txt",
  "/.hidden",
  "/index.html%00.js",
  "/%",
  "//etc/passwd",
  "*",
  "/x".repeat(3000),
])("has nothing at %s", async (url) => {
  expect(await get(url)).toBeUndefined();
});
