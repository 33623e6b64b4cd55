import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import {
  acceptsRanges,
  answerError,
  contentRangeStart,
  declaredLength,
  discard,
  isLastingAnswer,
  isMissing,
  retryHint,
  strongTag,
} from "../../src/store/http-answer.ts";

/** cache-files.test.ts tests the header `Retry-After`. */

const answer = (status: number, headers: Record<string, string> = {}): Response => new Response(null, { status, headers });

describe("a status", () => {
  test.each([403, 404, 410])("%d means that there is no such file", (status) => {
    expect(isMissing(answer(status))).toBe(true);
  });

  test.each([200, 400, 401, 402, 405, 407, 409, 411, 500, 503])("%d does not", (status) => {
    expect(isMissing(answer(status))).toBe(false);
  });

  test.each([401, 407])("%d is denied, and is not retried", (status) => {
    const error = answerError("u", answer(status));
    expect(error).toMatchObject({ name: "StoreError", code: "denied" });
    expect(retryHint(error)).toBeUndefined();
    expect(isLastingAnswer(error)).toBe(true);
  });

  test.each([
    [408, false],
    [425, false],
    [429, true],
    [500, false],
    [502, false],
    [503, true],
    [504, false],
    [520, false],
    [599, false],
  ])("%d is temporary (of a busy server: %s)", (status, isBusy) => {
    const error = answerError("u", answer(status));
    expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(retryHint(error)).toEqual({ isBusy, atLeast: 0 });
    expect(isLastingAnswer(error)).toBe(false);
  });

  test.each([300, 400, 402, 405, 416, 499, 501, 505, 511])("%d is unavailable, and is not retried", (status) => {
    const error = answerError("u", answer(status));
    expect(error).toMatchObject({ name: "StoreError", code: "unavailable" });
    expect(retryHint(error)).toBeUndefined();
    expect(isLastingAnswer(error)).toBe(true);
  });
});

test("an error that is no answer is retried if it is unavailable, and is never a lasting answer", () => {
  expect(retryHint(new StoreError("unavailable", "reset"))).toEqual({});
  expect(retryHint(new StoreError("corrupt", "damaged"))).toBeUndefined();
  expect(retryHint(new Error("other"))).toBeUndefined();
  expect(isLastingAnswer(new StoreError("unavailable", "reset"))).toBe(false);
});

describe("a header", () => {
  test.each([
    ["bytes", true],
    ["Bytes", true],
    ["none", false],
    [undefined, false],
  ])("Accept-Ranges: %s", (value, expected) => {
    expect(acceptsRanges(answer(200, value === undefined ? {} : { "accept-ranges": value }))).toBe(expected);
  });

  test.each([
    ["bytes 0-5/6", 0],
    ["bytes 1234-5000/*", 1234],
    ["bytes */6", undefined],
    ["xbytes 3-5/6", undefined],
    ["items 3-5/6", undefined],
    ["bytes x3-5/6", undefined],
    [undefined, undefined],
  ])("Content-Range: %s", (value, expected) => {
    expect(contentRangeStart(answer(206, value === undefined ? {} : { "content-range": value }))).toBe(expected);
  });

  test.each([
    ['"a"', '"a"'],
    ['W/"a"', undefined],
    [undefined, undefined],
  ])("ETag: %s", (value, expected) => {
    expect(strongTag(answer(200, value === undefined ? {} : { etag: value }))).toBe(expected);
  });

  test.each([
    ["0", 0],
    ["1234", 1234],
    ["12x", Number.POSITIVE_INFINITY],
    ["x12", Number.POSITIVE_INFINITY],
    ["-1", Number.POSITIVE_INFINITY],
    [undefined, Number.POSITIVE_INFINITY],
  ])("Content-Length: %s", (value, expected) => {
    expect(declaredLength(answer(200, value === undefined ? {} : { "content-length": value }))).toBe(expected);
  });
});

test("a body that nobody reads is cancelled, and an error of the cancellation is ignored", async () => {
  let cancelled = 0;
  const cancel = (): void => {
    cancelled++;
    throw new Error("can't cancel");
  };
  await discard(new Response(new ReadableStream({ cancel })));
  await discard(answer(204));
  expect(cancelled).toBe(1);
});
