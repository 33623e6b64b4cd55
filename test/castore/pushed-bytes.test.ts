import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { type Parsing, PushedBytes } from "../../src/castore/pushed-bytes.ts";

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

/** Pushes all pieces, and returns how often the parser waited for the caller. */
function push(bytes: PushedBytes, ...pieces: string[]): number {
  return pieces.reduce((pauses, piece) => pauses + [...bytes.push(utf8(piece))].length, 0);
}

describe("a request for an exact number", () => {
  test.each([1, 2, 3, 4, 10])("gets them from pieces of %d bytes", (length) => {
    const got: string[] = [];
    const bytes = new PushedBytes(
      (function* (): Parsing {
        for (const exactly of [3, 4, 1]) got.push(text(yield { exactly }));
      })(),
    );
    const all = "abcdefgh and more";
    for (let at = 0; at < all.length; at += length) push(bytes, all.slice(at, at + length));
    expect(got).toEqual(["abc", "defg", "h"]);
    expect(bytes.isDone).toBe(true);
    expect(bytes.offset).toBe(8);
  });

  test("is answered with a view of the pushed bytes if one piece has them all", () => {
    const got: Uint8Array[] = [];
    const bytes = new PushedBytes(
      (function* (): Parsing {
        got.push(yield { exactly: 2 });
        got.push(yield { exactly: 2 });
      })(),
    );
    const piece = utf8("abc");
    for (const _ of bytes.push(piece));
    expect(got.map(({ buffer }) => buffer)).toEqual([piece.buffer]);
    // The parser has a copy of the bytes that wait, so the caller may reuse its buffer.
    piece.fill(0);
    push(bytes, "d");
    expect(got.slice(1).map(text)).toEqual(["cd"]);
  });
});

describe("a request for some bytes", () => {
  test("gets what there is, up to its number, without a copy", () => {
    const got: Uint8Array[] = [];
    const bytes = new PushedBytes(
      (function* (): Parsing {
        for (;;) got.push(yield { upTo: 3 });
      })(),
    );
    const piece = utf8("abcd");
    for (const _ of bytes.push(piece));
    push(bytes, "", "e");
    expect(got.map(text)).toEqual(["abc", "d", "e"]);
    expect(got[0]?.buffer).toBe(piece.buffer);
    expect(bytes.offset).toBe(5);
  });
});

test("tells whether bytes of the current request have come", () => {
  const bytes = new PushedBytes(
    (function* (): Parsing {
      yield { exactly: 2 };
      yield { exactly: 2 };
    })(),
  );
  expect([bytes.isDone, bytes.isBetweenRequests, bytes.offset]).toEqual([false, true, 0]);
  push(bytes, "a");
  expect([bytes.isDone, bytes.isBetweenRequests, bytes.offset]).toEqual([false, false, 1]);
  push(bytes, "b");
  expect([bytes.isDone, bytes.isBetweenRequests, bytes.offset]).toEqual([false, true, 2]);
  push(bytes, "cd");
  expect([bytes.isDone, bytes.isBetweenRequests, bytes.offset]).toEqual([true, true, 4]);
});

describe("a pause", () => {
  function paused(): { bytes: PushedBytes; log: string[] } {
    const log: string[] = [];
    const bytes = new PushedBytes(
      (function* (): Parsing {
        log.push(text(yield { exactly: 1 }));
        log.push(`taken ${(yield "taken").length}`);
        log.push(`taken ${(yield "taken").length}`);
        log.push(text(yield { exactly: 1 }));
      })(),
    );
    return { bytes, log };
  }

  test("comes out before the parser goes on", () => {
    const { bytes, log } = paused();
    const steps = bytes.push(utf8("ab"));
    expect(steps.next().done).toBe(false);
    expect(log).toEqual(["a"]);
    expect(steps.next().done).toBe(false);
    expect(log).toEqual(["a", "taken 0"]);
    expect(steps.next().done).toBe(true);
    expect(log).toEqual(["a", "taken 0", "taken 0", "b"]);
  });

  test("comes out though no byte is left", () => {
    const { bytes, log } = paused();
    expect(push(bytes, "a")).toBe(2);
    expect(log).toEqual(["a", "taken 0", "taken 0"]);
    expect(push(bytes, "b")).toBe(0);
    expect(bytes.isDone).toBe(true);
  });
});

test("bytes after the end are ignored", () => {
  const bytes = new PushedBytes((function* (): Parsing {})());
  expect(bytes.isDone).toBe(true);
  expect(push(bytes, "abc")).toBe(0);
  expect(bytes.offset).toBe(0);
});

test("an error of the parser comes out of the push", () => {
  const error = new Error("not a header");
  const bytes = new PushedBytes(
    (function* (): Parsing {
      yield { exactly: 1 };
      throw error;
    })(),
  );
  expect(() => push(bytes, "a")).toThrow(error);
});
