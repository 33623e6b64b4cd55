import { expect, test } from "vitest";
import { type XzFilter, XzFilterChain } from "../../src/compression/xz-filter.ts";

/** Looks at whole units of `length` bytes, and adds 1 to each byte. Records the positions. */
function units(length: number): XzFilter & { readonly positions: number[] } {
  const positions: number[] = [];
  return {
    positions,
    decode(bytes, position) {
      positions.push(position);
      const done = bytes.length - (bytes.length % length);
      for (let i = 0; i < done; i++) bytes[i] = (bytes[i] as number) + 1;
      return done;
    },
  };
}

const rest = (chain: XzFilterChain) => [...chain.end()].map((bytes) => [...bytes]);

test("a chain without filters passes bytes on as they are", () => {
  const chain = new XzFilterChain();
  const bytes = Uint8Array.of(1, 2, 3);
  expect(chain.push(bytes)).toBe(bytes);
  expect(rest(chain)).toEqual([]);
});

test("bytes that a filter can't decide on yet come before the next ones", () => {
  const chain = new XzFilterChain();
  const filter = units(4);
  chain.add(filter);
  expect([...chain.push(Uint8Array.of(1, 2, 3))]).toEqual([]);
  expect([...chain.push(Uint8Array.of(4, 5))]).toEqual([2, 3, 4, 5]);
  expect([...chain.push(new Uint8Array(0))]).toEqual([]);
  expect([...chain.push(Uint8Array.of(6, 7, 8, 9, 10))]).toEqual([6, 7, 8, 9]);
  expect(filter.positions).toEqual([0, 0, 4, 4]);
  // The last ones stay as they are.
  expect(rest(chain)).toEqual([[9, 10]]);
});

test("what one filter holds at the end still goes through those after it", () => {
  const chain = new XzFilterChain();
  chain.add(units(4));
  chain.add(units(3));
  expect([...chain.push(Uint8Array.of(10, 20, 30, 40, 50))]).toEqual([12, 22, 32]);
  // The first filter holds 50, the second 41. Both together make no unit of three.
  expect(rest(chain)).toEqual([[], [41, 50]]);

  const other = new XzFilterChain();
  other.add(units(4));
  other.add(units(2));
  expect([...other.push(Uint8Array.of(1, 2, 3))]).toEqual([]);
  expect(rest(other)).toEqual([[2, 3], [3]]);
});

test("positions begin at the filter's start, and wrap at 2^32", () => {
  const chain = new XzFilterChain();
  const filter = units(1);
  chain.add(filter, 2 ** 32 - 2);
  for (let i = 0; i < 3; i++) chain.push(new Uint8Array(2));
  expect(filter.positions).toEqual([2 ** 32 - 2, 0, 2]);
});
