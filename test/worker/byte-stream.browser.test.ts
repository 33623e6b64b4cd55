import { expect, test } from "vitest";
import { ReadBuffers, readByteStream } from "../../src/byte-stream.ts";

/** Chromium is started with it; other engines have none. */
declare const gc: (() => void) | undefined;

const SIZE = 64 * 1024 * 1024;

test.skipIf(typeof gc === "undefined")("a blob that nothing but its reading holds is read to its end, whatever is collected", async () => {
  const timer = setInterval(() => gc?.(), 2);
  try {
    expect(await lengthOf(new Blob([new Uint8Array(SIZE)]).stream())).toBe(SIZE);
  } finally {
    clearInterval(timer);
  }
});

async function lengthOf(stream: ReadableStream<Uint8Array>): Promise<number> {
  const buffers = new ReadBuffers();
  let length = 0;
  for await (const bytes of readByteStream(stream, buffers) ?? []) {
    length += bytes.length;
    buffers.give(bytes.buffer);
  }
  return length;
}
