import { createMD5, createSHA1, createSHA512, type IHasher } from "hash-wasm";
import type { HashAlgorithm } from "../hash-algorithm.ts";
import { kernel } from "./blake3.ts";
import { COLLECT_LIMIT, CollectedSha256 } from "./collected-sha256.ts";
import type { HashStreamOptions } from "./engine.ts";
import { Sha256Kernel, type Sha256Stream } from "./kernel/sha256.ts";

type RareAlgorithm = Exclude<HashAlgorithm, "blake3" | "sha256">;

const CREATE: Record<RareAlgorithm, () => Promise<IHasher>> = {
  md5: createMD5,
  sha1: createSHA1,
  sha512: createSHA512,
};

const idle: Record<RareAlgorithm, IHasher[]> = { md5: [], sha1: [], sha512: [] };

/**
 * The SHA-256 kernel of this thread. It is compiled on first use: most content is collected
 * instead, and does not need it.
 */
let sha256Kernel: Sha256Kernel | undefined;

/**
 * A hash over bytes that come in pieces, computed in the calling thread. It ends with `digest` or
 * `abort`.
 */
export interface LocalHashStream {
  update(bytes: Uint8Array): void;
  digest(): Promise<Uint8Array>;
  /** Releases what the hash holds. Does nothing after the end. */
  abort(): void;
}

export async function createLocalHashStream(
  algorithm: HashAlgorithm,
  { size = 0 }: HashStreamOptions = {},
): Promise<LocalHashStream> {
  if (algorithm === "blake3") return blake3Stream();
  if (algorithm === "sha256") {
    // Pages served over plain HTTP have no `subtle`.
    const { subtle } = globalThis.crypto;
    // Content that is known to be too long is hashed from its first byte on. To collect it first
    // would cost a copy, and the time in which nothing is hashed.
    return subtle && size <= COLLECT_LIMIT ? new CollectedSha256(subtle, sha256Stream()) : sha256Stream();
  }
  // Reuse instances of the WebAssembly module.
  return rareHashStream(algorithm, idle[algorithm].pop() ?? (await CREATE[algorithm]()));
}

function sha256Stream(): LocalHashStream {
  let stream: Sha256Stream | undefined;
  let ended = false;
  const current = (): Sha256Stream => {
    if (ended) throw new TypeError("this hash stream has ended");
    if (!stream) {
      sha256Kernel ??= Sha256Kernel.create();
      stream = sha256Kernel.stream();
    }
    return stream;
  };
  return {
    update(bytes) {
      current().update(bytes);
    },
    async digest() {
      const digest = current().digest();
      ended = true;
      return digest;
    },
    abort() {
      ended = true;
    },
  };
}

function blake3Stream(): LocalHashStream {
  const stream = kernel.stream();
  return {
    update(bytes) {
      stream.update(bytes);
    },
    async digest() {
      const digest = stream.digest();
      stream.free();
      return digest;
    },
    abort() {
      stream.free();
    },
  };
}

function rareHashStream(algorithm: RareAlgorithm, instance: IHasher): LocalHashStream {
  let hasher: IHasher | undefined = instance.init();
  const current = (): IHasher => {
    if (!hasher) throw new TypeError("this hash stream has ended");
    return hasher;
  };
  const end = (): void => {
    if (hasher) idle[algorithm].push(hasher);
    hasher = undefined;
  };
  return {
    update(bytes) {
      current().update(bytes);
    },
    async digest() {
      const digest = current().digest("binary");
      end();
      return digest;
    },
    abort: end,
  };
}
