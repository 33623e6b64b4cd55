import * as library from "xz-decompress";
import { equalBytes } from "../bytes.ts";
import { iterate, streamOf } from "../stream.ts";
import type { CompressedInput } from "./compressed-input.ts";

// The library is CommonJS, of which some loaders see the names and others only the whole.
const { XzReadableStream } = "XzReadableStream" in library ? library : (library as { default: typeof library }).default;

const MAGIC = Uint8Array.of(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00);
/** Of a stream: "YZ". */
const END_MAGIC = Uint8Array.of(0x59, 0x5a);

/**
 * How many are served at once: the decoder keeps all their dictionaries, of up to 64 MiB each, in one memory that never gets smaller.
 */
const MAX_AT_ONCE = 8;

// By itself it lets each stream wait, beyond the reach of an abort, until the one before has ended: one source that stalls would stop all others.
Reflect.set(XzReadableStream, "_contextMutex", { acquire: async () => {}, release: () => {} });

let running = 0;
const waiting = new Set<() => void>();

/** Streams of the .xz format, one after another, with zeros between them. */
export async function* unxz(input: CompressedInput, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  while (running >= MAX_AT_ONCE) await untilOneEnds(signal);
  running++;
  try {
    do yield* stream(input);
    while (await beginsAnother(input));
  } finally {
    running--;
    for (const wake of waiting) wake();
  }
}

function untilOneEnds(signal: AbortSignal | undefined): Promise<void> {
  return new Promise<void>((resolve) => {
    const wake = (): void => {
      waiting.delete(wake);
      signal?.removeEventListener("abort", wake);
      resolve();
    };
    waiting.add(wake);
    signal?.addEventListener("abort", wake);
    if (signal?.aborted) wake();
  }).then(() => signal?.throwIfAborted());
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
