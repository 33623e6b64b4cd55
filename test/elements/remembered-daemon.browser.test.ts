import { afterEach, expect, test, vi } from "vitest";
import { recallDaemon, rememberDaemon } from "../../src/elements/remembered-daemon.ts";

afterEach(() => {
  vi.restoreAllMocks();
  localStorage.clear();
});

test("the last daemon is remembered, with its protocol", () => {
  expect(recallDaemon()).toBeUndefined();
  rememberDaemon("http://a:8000", "grpc-web");
  expect(recallDaemon()).toEqual({ address: "http://a:8000", protocol: "grpc-web" });
  rememberDaemon("http://b:8000", "connect");
  expect(recallDaemon()).toEqual({ address: "http://b:8000", protocol: "connect" });
});

test("an unknown protocol counts as Connect: other code of this origin may have written it", () => {
  rememberDaemon("http://a:8000", "grpc-web");
  for (let i = 0; i < localStorage.length; i++) {
    const key = localStorage.key(i) ?? "";
    if (localStorage.getItem(key) === "grpc-web") localStorage.setItem(key, "\u0000smoke signals");
  }
  expect(recallDaemon()).toEqual({ address: "http://a:8000", protocol: "connect" });
});

test("a browser that refuses storage remembers no daemon, and that is no failure", () => {
  const refuse = (): never => {
    throw new DOMException("no", "SecurityError");
  };
  const warn = vi.spyOn(console, "warn").mockImplementation(() => {});
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(refuse);
  vi.spyOn(Storage.prototype, "getItem").mockImplementation(refuse);
  rememberDaemon("http://a:8000", "connect");
  expect(warn).toHaveBeenCalledTimes(1);
  expect(recallDaemon()).toBeUndefined();
});
