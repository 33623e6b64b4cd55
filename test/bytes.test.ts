import { expect, test } from "vitest";
import { ownBytes } from "../src/bytes.ts";

test("bytes that fill their buffer are returned without a copy, and all others in a buffer of their own", () => {
  const whole = Uint8Array.of(1, 2, 3);
  expect(ownBytes([whole]).buffer).toBe(whole.buffer);
  for (const parts of [[whole.subarray(1)], [whole, whole.subarray(0, 1)], [whole.subarray(0, 0)], []]) {
    const own = ownBytes(parts);
    expect([...own]).toEqual(parts.flatMap((part) => [...part]));
    expect(own.buffer.byteLength).toBe(own.length);
    expect(own.buffer).not.toBe(whole.buffer);
  }
});
