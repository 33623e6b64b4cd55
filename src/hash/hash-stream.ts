import { createMD5, createSHA1, createSHA256, createSHA512, type IHasher } from "hash-wasm";
import { kernel } from "./blake3.ts";
import { CollectedSha256 } from "./collected-sha256.ts";

/** What castore (BLAKE3) and Nix (the others) hash with. */
export type HashAlgorithm = "blake3" | "md5" | "sha1" | "sha256" | "sha512";

type NixHashAlgorithm = Exclude<HashAlgorithm, "blake3">;

const CREATE: Record<NixHashAlgorithm, () => Promise<IHasher>> = {
  md5: createMD5,
  sha1: createSHA1,
  sha256: createSHA256,
  sha512: createSHA512,
};

const idle: Record<NixHashAlgorithm, IHasher[]> = { md5: [], sha1: [], sha256: [], sha512: [] };

/** A hash over bytes that come in pieces, taken in this thread. After `digest` and `abort` it has ended. */
export interface LocalHashStream {
  update(bytes: Uint8Array): void;
  digest(): Promise<Uint8Array>;
  /** Lets go of what the hash holds; does nothing after the end. */
  abort(): void;
}

export async function createLocalHashStream(algorithm: HashAlgorithm): Promise<LocalHashStream> {
  if (algorithm === "blake3") return blake3Stream();
  // Instances of the WebAssembly module are used again.
  const stream = nixHashStream(algorithm, idle[algorithm].pop() ?? (await CREATE[algorithm]()));
  // Pages that came over plain HTTP have no `subtle`.
  const { subtle } = globalThis.crypto;
  return algorithm === "sha256" && subtle ? new CollectedSha256(subtle, stream) : stream;
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

function nixHashStream(algorithm: NixHashAlgorithm, instance: IHasher): LocalHashStream {
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
