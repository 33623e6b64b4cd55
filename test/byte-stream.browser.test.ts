import { describe, expect, test } from "vitest";
import { ReadBuffers, readByteStream } from "../src/byte-stream.ts";
import { iterate } from "../src/stream.ts";

/**
 * Chromium offers this function because of a flag in vite.config.ts. Other engines choose when they
 * collect.
 */
const { gc } = globalThis as { gc?: () => void };

const SIZE = 64 * 1024 * 1024;

describe.each([
  ["read as bytes if the engine supports it", readBytes],
  ["read in the pieces of the stream", (stream: ReadableStream<Uint8Array>) => iterate(stream)],
])("a blob to which only its reader refers, %s", (_, read) => {
  test("is read to its end, although garbage is collected meanwhile", async () => {
    const timer = setInterval(() => gc?.(), 2);
    let length = 0;
    try {
      for await (const bytes of read(new Blob([new Uint8Array(SIZE)]).stream())) length += bytes.length;
    } finally {
      clearInterval(timer);
    }
    expect(length).toBe(SIZE);
  });
});

function readBytes(stream: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const buffers = new ReadBuffers();
  return readByteStream(stream, buffers) ?? iterate(stream);
}
