import { createBLAKE3, createMD5, createSHA1, createSHA256, createSHA512, type IHasher } from "hash-wasm";

/** What castore (BLAKE3) and Nix (the others) hash with. */
export type HashAlgorithm = "blake3" | "md5" | "sha1" | "sha256" | "sha512";

const CREATE: Record<HashAlgorithm, () => Promise<IHasher>> = {
  blake3: () => createBLAKE3(),
  md5: createMD5,
  sha1: createSHA1,
  sha256: createSHA256,
  sha512: createSHA512,
};

const idle: Record<HashAlgorithm, IHasher[]> = { blake3: [], md5: [], sha1: [], sha256: [], sha512: [] };

/** A synchronous hash over bytes that come in pieces, in this thread. */
export class SyncHashStream {
  #algorithm: HashAlgorithm;
  #hasher: IHasher | undefined;

  private constructor(algorithm: HashAlgorithm, hasher: IHasher) {
    this.#algorithm = algorithm;
    this.#hasher = hasher.init();
  }

  /** Instances of the WebAssembly module are used again after `digest()` and `abort()`. */
  static async create(algorithm: HashAlgorithm): Promise<SyncHashStream> {
    return new SyncHashStream(algorithm, idle[algorithm].pop() ?? (await CREATE[algorithm]()));
  }

  update(bytes: Uint8Array): void {
    this.#current().update(bytes);
  }

  digest(): Uint8Array {
    const digest = this.#current().digest("binary");
    this.abort();
    return digest;
  }

  abort(): void {
    if (this.#hasher) idle[this.#algorithm].push(this.#hasher);
    this.#hasher = undefined;
  }

  #current(): IHasher {
    if (!this.#hasher) throw new TypeError("this hash stream has ended");
    return this.#hasher;
  }
}
