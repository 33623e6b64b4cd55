import { expect, test } from "vitest";
import { ExactPieces } from "../../src/hash/exact-pieces.ts";

const fed = (...bytes: number[]) => {
  const pieces = new ExactPieces();
  const piece = Uint8Array.from(bytes);
  pieces.feed(piece);
  return { pieces, piece };
};

test("what one piece holds is a view of it", () => {
  const { pieces, piece } = fed(1, 2, 3, 4, 5);
  const [first, second] = [pieces.take(2), pieces.take(3)];
  expect([first, second].map((part) => [...(part ?? [])])).toEqual([
    [1, 2],
    [3, 4, 5],
  ]);
  expect([first?.buffer, second?.byteOffset]).toEqual([piece.buffer, 2]);
  expect([pieces.rest, pieces.take(1)]).toEqual([0, undefined]);
});

test("what several pieces hold is joined, and the pieces may change after it", () => {
  const { pieces, piece } = fed(1, 2);
  expect([pieces.take(5), pieces.rest]).toEqual([undefined, 2]);
  piece.fill(0);
  pieces.feed(Uint8Array.of(3));
  expect([pieces.take(5), pieces.rest]).toEqual([undefined, 3]);
  pieces.feed(new Uint8Array(0));
  expect([pieces.take(5), pieces.rest]).toEqual([undefined, 3]);
  pieces.feed(Uint8Array.of(4, 5, 6, 7));
  expect([...(pieces.take(5) ?? [])]).toEqual([1, 2, 3, 4, 5]);
  expect(pieces.rest).toBe(2);
  expect([...(pieces.take(2) ?? [])]).toEqual([6, 7]);
});

test("no bytes can always be taken", () => {
  const pieces = new ExactPieces();
  expect(pieces.take(0)).toEqual(new Uint8Array(0));
  expect(pieces.take(1)).toBe(undefined);
  pieces.feed(Uint8Array.of(1));
  expect(pieces.take(0)).toEqual(new Uint8Array(0));
  expect(pieces.take(1)).toEqual(Uint8Array.of(1));
});
