import { type Endpoint, expose, transferHandlers, wrap } from "comlink";
import { afterEach, describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { handleThrownErrors } from "../../src/thread/thrown-errors.ts";

const ports: MessagePort[] = [];
afterEach(() => {
  for (const port of ports.splice(0)) port.close();
});

/** An object at the other end of a port, whose method throws `value`. */
function thrower(value: unknown): { fail(): Promise<unknown> } {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  expose(
    {
      fail() {
        throw value;
      },
    },
    port2 as Endpoint,
  );
  return wrap<{ fail(): unknown }>(port1 as Endpoint);
}

handleThrownErrors();

describe("a thrown value arrives", () => {
  test("as the StoreError that it is, with its cause", async () => {
    const cause = new TypeError("why");
    const arrived: unknown = await thrower(new StoreError("quota", "full", { cause }))
      .fail()
      .catch((error: unknown) => error);
    expect(arrived).toBeInstanceOf(StoreError);
    expect(arrived).toMatchObject({ code: "quota", message: "full", cause: { name: "TypeError", message: "why" } });
  });

  test("as an error, also if it is none", async () => {
    await expect(thrower("text").fail()).rejects.toMatchObject({ name: "Error", message: "text" });
    await expect(thrower(undefined).fail()).rejects.toBeInstanceOf(Error);
  });

  test("in the same form if both threads are one, which calls this twice", async () => {
    handleThrownErrors();
    await expect(thrower(new StoreError("denied", "no")).fail()).rejects.toMatchObject({ code: "denied", message: "no" });
  });
});

test("a value that is returned is not touched", async () => {
  const { port1, port2 } = new MessageChannel();
  ports.push(port1, port2);
  expose({ get: () => ({ value: 7 }) }, port2 as Endpoint);
  expect(await wrap<{ get(): unknown }>(port1 as Endpoint).get()).toEqual({ value: 7 });
});

test("a Comlink without a handler for thrown values is a mistake of the build", () => {
  const handler = transferHandlers.get("throw");
  transferHandlers.delete("throw");
  try {
    expect(handleThrownErrors).toThrow(TypeError);
  } finally {
    if (handler) transferHandlers.set("throw", handler);
  }
});
