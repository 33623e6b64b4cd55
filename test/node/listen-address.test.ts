import { expect, test } from "vitest";
import { parseListenAddress } from "../../src/node/listen-address.ts";
import { UsageError } from "../../src/node/usage-error.ts";

test.each([
  ["127.0.0.1:8000", { host: "127.0.0.1", port: 8000 }],
  ["store.lan:0", { host: "store.lan", port: 0 }],
  ["[::1]:65535", { host: "::1", port: 65535 }],
  ["[::ffff:127.0.0.1]:1", { host: "::ffff:127.0.0.1", port: 1 }],
  ["unix:socket", { path: "socket" }],
  ["unix:/run/a b", { path: "/run/a b" }],
  ["unix:///run/socket", { path: "/run/socket" }],
  ["unix://run/socket", { path: "//run/socket" }],
  ["unix:a\nb", { path: "a\nb" }],
])("%j is %j", (text, address) => {
  expect(parseListenAddress(text)).toEqual(address);
});

test.each([
  "",
  "8000",
  ":8000",
  "127.0.0.1",
  "127.0.0.1:",
  "127.0.0.1:65536",
  "127.0.0.1:123456",
  "127.0.0.1:-1",
  "127.0.0.1:http",
  "::1:8000",
  "[]:8000",
  "[store.lan]:8000",
  "a b:8000",
  "http://127.0.0.1:8000",
  "unix:",
])("%j is no address to listen on", (text) => {
  expect(() => parseListenAddress(text)).toThrow(UsageError);
});
