import { describe, expect, test } from "vitest";
import { type AccessRequest, type AccessRules, createAccessCheck, isLoopbackAddress, type Reach } from "../../src/node/access.ts";

/** Decides on a request with the given fields. The Host header is checked if it is one of them. */
function decide(rules: AccessRules, request: Partial<AccessRequest>, reach: Reach = "host" in request ? "machine" : "socket") {
  const nothing: AccessRequest = {
    method: "GET",
    host: undefined,
    origin: undefined,
    requestedMethod: undefined,
    requestedHeaders: undefined,
    fetchSite: undefined,
    fetchDest: undefined,
  };
  return createAccessCheck(rules)({ ...nothing, ...request }, reach);
}

const ISOLATION = {
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Cross-Origin-Resource-Policy": "same-origin",
};
const HEADERS = { ...ISOLATION, Vary: "Origin, Sec-Fetch-Site" };

describe("the Host header", () => {
  test.each([
    "127.0.0.1:1",
    "127.255.0.3",
    "localhost",
    "localhost:8000",
    "LOCALHOST:8000",
    "[::1]:8000",
    "app.localhost",
    "a.b.localhost",
  ])("%s is accepted", (host) => {
    expect(decide({}, { host })).toEqual({ kind: "allowed", headers: HEADERS });
    expect(decide({}, { host }, "network")).toMatchObject({ kind: "allowed" });
  });

  test.each([
    "example.org",
    "example.org:8000",
    "localhost.example.org",
    "127.0.0.1.example.org",
    "127.0.0.1@example.org",
    "notlocalhost",
    "128.0.0.1",
    "[::2]",
    "example.org/localhost",
    "localhost?x",
    "localhost#x",
    "example.org\\localhost",
    "localhost:99999",
    "",
    undefined,
  ])("%j is refused, and named in the reason", (host) => {
    const decision = decide({}, { host });
    expect(decision).toMatchObject({ kind: "refused", reason: expect.stringContaining(JSON.stringify(host ?? "")) });
    expect(decision).toMatchObject({ headers: ISOLATION });
    expect(decide({}, { host }, "socket")).toMatchObject({ kind: "allowed" });
  });

  test.each([
    ["192.168.0.1:8000", "allowed"],
    ["8.8.8.8", "allowed"],
    ["[fd00::1]:8000", "allowed"],
    ["store.lan", "refused"],
    ["store.lan.", "refused"],
    ["192.168.0.1.example.org", "refused"],
    ["", "refused"],
  ])("of a listener on the network may be any address, but no unknown name: %s is %s", (host, kind) => {
    expect(decide({}, { host }, "network")).toMatchObject({ kind });
    expect(decide({ allowHosts: ["store.lan", "store.lan."] }, { host: "store.lan" }, "network")).toMatchObject({
      kind: "allowed",
    });
  });

  test("is accepted if its name is allowed, on any port", () => {
    const rules = { allowHosts: ["Store.example.org"] };
    expect(decide(rules, { host: "store.Example.org:8000" })).toMatchObject({ kind: "allowed" });
    expect(decide(rules, { host: "other.example.org" })).toMatchObject({ kind: "refused" });
  });
});

describe("a page", () => {
  const rules = { allowOrigins: ["https://viewer.example.org/"] };

  test.each([
    "http://localhost:5173",
    "https://localhost",
    "http://127.0.0.1:1",
    "http://[::1]:3000",
    "https://viewer.example.org",
  ])("of %s may read, and write after a preflight", (origin) => {
    const allowed = decide(rules, { origin });
    expect(allowed).toMatchObject({ kind: "allowed", headers: { ...HEADERS, "Access-Control-Allow-Origin": origin } });
    const exposed = "headers" in allowed ? (allowed.headers["Access-Control-Expose-Headers"] ?? "") : "";
    expect(exposed.toLowerCase()).toContain("grpc-status");
    expect(exposed).toContain("Content-Range");

    const requestedHeaders = "connect-protocol-version,content-type,x-grpc-web,x-user-agent";
    const preflight = { method: "OPTIONS", origin, requestedMethod: "POST", requestedHeaders };
    expect(decide(rules, preflight)).toEqual({
      kind: "preflight",
      headers: {
        ...HEADERS,
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET, HEAD, POST, PUT",
        "Access-Control-Allow-Headers": requestedHeaders,
        "Access-Control-Max-Age": "7200",
        "Access-Control-Allow-Private-Network": "true",
      },
    });
  });

  test("that asks for no headers gets the list of headers that calls need", () => {
    const decision = decide(rules, { method: "OPTIONS", origin: "http://localhost", requestedMethod: "POST" });
    const headers = "headers" in decision ? decision.headers["Access-Control-Allow-Headers"] : undefined;
    expect(headers?.toLowerCase()).toContain("x-grpc-web");
  });

  test("treats an OPTIONS request that is no preflight like any other request", () => {
    expect(decide(rules, { method: "OPTIONS", origin: "http://localhost" })).toMatchObject({ kind: "allowed" });
    expect(decide(rules, { method: "POST", origin: "http://localhost", requestedMethod: "POST" })).toMatchObject({
      kind: "allowed",
    });
  });

  test.each([
    "https://example.org",
    "http://viewer.example.org",
    "https://viewer.example.org:8000",
    "https://localhost.example.org",
    "ftp://localhost",
    "null",
    "file://",
    "nonsense",
  ])("of %s is refused", (origin) => {
    for (const more of [{}, { method: "OPTIONS", requestedMethod: "POST" }])
      expect(decide(rules, { origin, ...more })).toMatchObject({ kind: "refused", reason: expect.stringContaining(origin) });
  });

  test("of the server itself is allowed", () => {
    const host = "Store.lan:8000";
    expect(decide({}, { host, origin: "http://store.lan:8000" }, "socket")).toMatchObject({ kind: "allowed" });
    expect(decide({}, { host, origin: "http://store.lan:9000" }, "socket")).toMatchObject({ kind: "refused" });
  });

  test.each(["viewer.example.org", "", "null", "file:///x"])("can't be allowed by the origin %j", (origin) => {
    expect(() => createAccessCheck({ allowOrigins: [origin] })).toThrow(
      expect.objectContaining({ name: "StoreError", code: "invalid" }),
    );
  });
});

describe("a request without an origin", () => {
  test.each<[string, Partial<AccessRequest>, string]>([
    ["of a program", {}, "allowed"],
    ["of the page itself", { fetchSite: "same-origin", fetchDest: "script" }, "allowed"],
    ["that the user typed", { fetchSite: "none", fetchDest: "document" }, "allowed"],
    ["of a link on another site", { fetchSite: "cross-site", fetchDest: "document" }, "allowed"],
    ["of a form on another site", { fetchSite: "cross-site", fetchDest: "document", method: "POST" }, "refused"],
    ["of a frame on another site", { fetchSite: "cross-site", fetchDest: "iframe" }, "refused"],
    ["of a script on another site", { fetchSite: "cross-site", fetchDest: "script" }, "refused"],
    ["of a script on another host of this site", { fetchSite: "same-site", fetchDest: "script", host: "store.lan" }, "refused"],
    ["of a script on another port of this machine", { fetchSite: "same-site", fetchDest: "script", host: "localhost" }, "allowed"],
    ["of a browser that sends something new", { fetchSite: "other", fetchDest: "script" }, "refused"],
  ])("%s", (_, request, kind) => {
    expect(decide({ allowHosts: ["store.lan"] }, { host: "localhost", ...request })).toMatchObject({ kind });
  });

  test("needs no right mode if an allowed origin asks", () => {
    const request = { origin: "http://localhost:1", fetchSite: "cross-site", fetchDest: "empty" };
    expect(decide({}, request)).toMatchObject({ kind: "allowed" });
  });
});

test.each([
  ["127.0.0.1", true],
  ["127.8.9.1", true],
  ["::1", true],
  ["::ffff:127.0.0.1", true],
  ["0.0.0.0", false],
  ["::", false],
  ["192.168.0.127", false],
  ["::ffff:10.0.0.1", false],
])("the address %s is only reachable from this machine: %s", (address, expected) => {
  expect(isLoopbackAddress(address)).toBe(expected);
});
