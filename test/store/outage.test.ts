import { expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { Outage } from "../../src/store/outage.ts";

const down = new StoreError("unavailable", "reset");

function failed(outage: Outage, times: number, error = down): void {
  for (let i = 0; i < times; i++) outage.failed(error);
}

test("ten failures in a row are an outage, with the code and the cause of the last one", () => {
  const outage = new Outage("the cache");
  failed(outage, 9);
  expect(outage.reason).toBeUndefined();
  const denied = new StoreError("denied", "no access");
  outage.failed(denied);
  expect(outage.reason).toMatchObject({ name: "StoreError", code: "denied", cause: denied });
});

test("a path that was read ends the row", () => {
  const outage = new Outage("the cache");
  failed(outage, 9);
  outage.worked();
  failed(outage, 9);
  expect(outage.reason).toBeUndefined();
  failed(outage, 1);
  outage.worked();
  expect(outage.reason).toBeUndefined();
});

test.each(["not-found", "corrupt", "invalid"] as const)("a failure of one path alone doesn't count: %s", (code) => {
  const outage = new Outage("the cache");
  failed(outage, 20, new StoreError(code, "this path"));
  expect(outage.reason).toBeUndefined();
});
