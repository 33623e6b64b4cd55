import { describe, expect, test } from "vitest";
import { StoreError } from "../../../src/error.ts";
import type { CacheResponse, Exchange } from "../../../src/node/binary-cache/exchange.ts";
import { failedCondition, getFrom, type Resource, refusedCoding } from "../../../src/node/binary-cache/resource.ts";

/** Makes a request with these headers. */
function exchange(headers: Record<string, string>, method = "GET"): Exchange {
  return { method, header: (name: string) => headers[name] } as Exchange;
}

/** A resource whose GET gives this response. Records whether only headers were needed. */
function resource(response: CacheResponse | Error, more: Partial<Resource> = {}): Resource & { readonly heads: boolean[] } {
  const heads: boolean[] = [];
  return {
    name: "x",
    heads,
    async get(_, isHead) {
      heads.push(isHead);
      if (response instanceof Error) throw response;
      return response;
    },
    ...more,
  };
}

const TEXT: CacheResponse = { status: 200, headers: { "content-type": "text/plain", vary: "X" }, body: "text" };

describe("GET", () => {
  test("adds a tag to a text, with which the client gets 304 later", async () => {
    const first = await getFrom(resource(TEXT), exchange({}));
    expect(first).toMatchObject({ status: 200, body: "text", headers: { "content-type": "text/plain" } });
    const etag = first.headers?.etag ?? "";
    expect(etag).toMatch(/^"[^"]+"$/);
    const again = await getFrom(resource(TEXT), exchange({ "if-none-match": etag }));
    expect(again).toEqual({ status: 304, headers: { vary: "X", etag } });
    expect(await getFrom(resource({ ...TEXT, body: "other" }), exchange({ "if-none-match": etag }))).toMatchObject({ status: 200 });
  });

  test("leaves other answers as they are", async () => {
    const stream = (async function* () {})();
    for (const response of [{ status: 200, body: stream }, { status: 404, body: "none" }, { status: 200 }])
      expect(await getFrom(resource(response), exchange({ "if-none-match": "*" }))).toBe(response);
  });

  test("says whether only the headers are needed", async () => {
    const one = resource(TEXT);
    for (const method of ["GET", "HEAD"]) await getFrom(one, exchange({}, method));
    expect(one.heads).toEqual([false, true]);
  });
});

describe("a PUT with If-None-Match", () => {
  const failed = (one: Resource, header?: string) =>
    failedCondition(one, exchange(header === undefined ? {} : { "if-none-match": header }, "PUT"));

  test("fails if it names the current text", async () => {
    const { etag = "" } = (await getFrom(resource(TEXT), exchange({}))).headers ?? {};
    for (const header of ["*", etag, `W/${etag}`, `"x", ${etag}`])
      expect(await failed(resource(TEXT), header)).toEqual({ status: 412 });
    for (const header of [`"x"`, ""]) expect(await failed(resource(TEXT), header)).toBeUndefined();
  });

  test("fails if the resource says so itself, or has the named tag", async () => {
    expect(await failed(resource({ status: 304 }), '"x"')).toEqual({ status: 412 });
    const tagged = resource({ status: 200, headers: { etag: '"a"' } });
    expect(await failed(tagged, '"a"')).toEqual({ status: 412 });
    expect(await failed(tagged, '"b"')).toBeUndefined();
    expect(await failed(resource({ status: 200 }), "*")).toBeUndefined();
    expect(tagged.heads).toEqual([true, true]);
  });

  test("succeeds if there is nothing yet", async () => {
    expect(await failed(resource(new StoreError("not-found", "nothing")), "*")).toBeUndefined();
  });

  test("is the only one that reads the resource", async () => {
    const one = resource(TEXT);
    expect(await failed(one)).toBeUndefined();
    expect(one.heads).toEqual([]);
  });

  test("passes other errors on", async () => {
    const error = new StoreError("unavailable", "the store is closed");
    await expect(failed(resource(error), "*")).rejects.toBe(error);
  });
});

test.each<[Resource["coding"], string | undefined, boolean]>([
  [undefined, undefined, false],
  [undefined, "gzip", false],
  [undefined, "nonsense", true],
  ["identity", undefined, false],
  ["identity", "identity", false],
  ["identity", "none", false],
  ["identity", "gzip", true],
  ["any", "nonsense", false],
])("a resource of the coding %s refuses %s: %s", (coding, header, isRefused) => {
  const refused = refusedCoding(resource(TEXT, { coding }), exchange(header === undefined ? {} : { "content-encoding": header }));
  expect(refused?.status).toBe(isRefused ? 415 : undefined);
  if (coding === "identity" && refused) expect(refused.headers?.["accept-encoding"]).toBe("identity");
});
