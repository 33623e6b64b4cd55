import { describe, expect, test, vi } from "vitest";
import { connectRemote } from "../../src/browser/remote.ts";
import { fetchThrough } from "../../src/thread/port-fetch.ts";

describe("the address of a remote", () => {
  test.each([
    ["http://localhost:8000", "http://localhost:8000"],
    ["https://example.org/", "https://example.org"],
    ["https://example.org/a/b/", "https://example.org/a/b"],
    ["HTTP://EXAMPLE.org:80/a", "http://example.org/a"],
  ])("%s is %s", (url, expected) => {
    expect(connectRemote(url).url).toBe(expected);
  });

  test.each(["", "localhost:8000", "ftp://example.org", "grpc+http://example.org", "/a", "http://"])("can't be %j", (url) => {
    expect(() => connectRemote(url)).toThrow(expect.objectContaining({ code: "invalid", message: expect.stringContaining(url) }));
  });
});

test("the worker gets the options of a remote, and defaults for the others", () => {
  expect(connectRemote("http://localhost").address).toEqual({
    url: "http://localhost",
    protocol: "connect",
    dialect: "auto",
    headers: [],
  });
  const headers = { "X-One": "1", Two: "2" };
  expect(connectRemote("http://localhost", { protocol: "grpc-web", dialect: "snix", headers }).address).toEqual({
    url: "http://localhost",
    protocol: "grpc-web",
    dialect: "snix",
    headers: [
      ["two", "2"],
      ["x-one", "1"],
    ],
  });
});

test("the page's own fetch answers the worker until it is stopped; without one, the worker uses its own", async () => {
  expect(connectRemote("http://localhost").serveFetch()).toBeUndefined();
  const fetch = vi.fn(async () => new Response("answer"));
  const served = connectRemote("http://localhost", { fetch }).serveFetch();
  if (!served) throw new Error("the fetch is not served");
  const answer = await fetchThrough(served.port)("http://localhost/x");
  expect(await answer.text()).toBe("answer");
  served.stop();
  served.port.close();
  expect(fetch).toHaveBeenCalledOnce();
});
