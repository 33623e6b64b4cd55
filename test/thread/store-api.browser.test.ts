import { expose, proxy, wrap } from "comlink";
import { expect, test } from "vitest";

test("a call of a nested interface costs one message in each direction, like any other", async () => {
  const nested = proxy({ double: (value: number) => 2 * value });
  const { port1, port2 } = new MessageChannel();
  const messages: string[] = [];
  port1.addEventListener("message", () => messages.push("call"));
  port2.addEventListener("message", () => messages.push("answer"));
  expose({ nested, double: nested.double }, port1);
  const api = wrap<{ nested: typeof nested; double(value: number): number }>(port2);
  expect(await api.double(1)).toBe(2);
  expect(messages.splice(0)).toEqual(["call", "answer"]);
  expect(await api.nested.double(2)).toBe(4);
  expect(messages).toEqual(["call", "answer"]);
  port1.close();
  port2.close();
});
