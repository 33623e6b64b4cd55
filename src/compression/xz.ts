import * as library from "xz-decompress";
import { equalBytes } from "../bytes.ts";
import { iterate, streamOf } from "../stream.ts";
import type { CompressedInput } from "./compressed-input.ts";

// The library is CommonJS, of which some loaders see the names and others only the whole.
const { XzReadableStream } = "XzReadableStream" in library ? library : (library as { default: typeof library }).default;

const MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
/** Of a stream: "YZ". */
const END_MAGIC = Uint8Array.of(0x59, 0x5a);

let previous: Promise<void> = Promise.resolve();

/**
 * Streams of the .xz format, one after another, with zeros between them. One caller at a time is served: the decoder has one memory, and lets a second stream
 * wait in a way that can't be aborted.
 */
export async function* unxz(input: CompressedInput): AsyncGenerator<Uint8Array> {
  const before = previous;
  let done = (): void => {};
  previous = new Promise((resolve) => {
    done = resolve;
  });
  try {
    await before;
    do yield* stream(input);
    while (await beginsAnother(input));
  } finally {
    done();
  }
}

async function* stream(input: CompressedInput): AsyncGenerator<Uint8Array> {
  let tail: Uint8Array = END_MAGIC;
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let piece = await input.takeSome(); piece; piece = await input.takeSome()) {
      tail = piece;
      yield piece;
    }
  };
  for await (const bytes of iterate(new XzReadableStream(streamOf(pieces())))) if (bytes.length > 0) yield bytes;
  // The decoder doesn't say how much of the last piece it took. It looked at the end of the stream, so what else is there must be after it.
  const end = tail.subarray(0, tail.findLastIndex((byte) => byte !== 0) + 1);
  if (end.length >= 2 && !equalBytes(end.subarray(-2), END_MAGIC)) throw new Error("there is more after the end");
}

async function beginsAnother(input: CompressedInput): Promise<boolean> {
  while (await input.has(1)) {
    const zeros = input.bytes.findIndex((byte) => byte !== 0);
    input.take(zeros < 0 ? input.bytes.length : zeros);
    if (zeros < 0) continue;
    if (!(await input.has(MAGIC.length)) || !equalBytes(input.bytes.subarray(0, MAGIC.length), MAGIC))
      throw new Error("there is more after the end");
    return true;
  }
  return false;
}
