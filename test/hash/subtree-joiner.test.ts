import { expect, test } from "vitest";
import { kernel } from "../../src/hash/blake3.ts";
import { SubtreeJoiner } from "../../src/hash/subtree-joiner.ts";
import { pseudoRandom } from "../conformance/content.ts";

const SIZE = 4096;

test.each([2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 33])("%d subtrees join to the digest of the whole", (count) => {
  for (const last of [1, SIZE - 1, SIZE]) {
    const whole = pseudoRandom(SIZE * (count - 1) + last, count);
    const joiner = new SubtreeJoiner();
    for (let i = 0; i < count; i++) joiner.push(kernel.subtree(whole.subarray(SIZE * i, SIZE * (i + 1)), 4 * i));
    expect(joiner.digest()).toEqual(kernel.blake3(whole));
  }
});

test("fewer than two subtrees can't be joined", () => {
  const joiner = new SubtreeJoiner();
  expect(() => joiner.digest()).toThrow(RangeError);
  joiner.push(new Uint8Array(32));
  expect(() => joiner.digest()).toThrow(RangeError);
});
