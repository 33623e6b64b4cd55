import { StoreError } from "../error.ts";
import { type Digest, digestKey, formatDigest } from "./digest.ts";
import {
  checkDirectory,
  childDirectories,
  type Directory,
  type DirectorySizeRule,
  directorySize,
  SIZE_RULES,
} from "./directory.ts";
import { directoryDigest } from "./directory-codec.ts";

/**
 * The two orders in which a closure of directories is sent, and validators for both. A validator
 * holds a digest and a size per directory, not the directories themselves.
 */

/** A directory seen in a stream, with its size by each rule that can still apply. */
interface Sizes {
  digest: Digest;
  sizes: Map<DirectorySizeRule, bigint>;
  referenced: boolean;
}

/**
 * Validates the order leaves to root, which `DirectoryService.Put` accepts:
 *
 * - A Directory refers only to Directories sent before it.
 * - The sizes of all children are exact, by one rule for the whole stream.
 * - Everything is reachable from the last Directory, the root.
 *
 * A Directory that is sent again is ignored.
 */
export class LeavesToRootValidator {
  #rules: readonly DirectorySizeRule[];
  #seen = new Map<string, Sizes>();
  #root: Sizes | undefined;

  /**
   * @param rules accepted size rules. By default both, but each stream has to follow one of them
   *   throughout.
   */
  constructor(rules: readonly DirectorySizeRule[] = SIZE_RULES) {
    this.#rules = rules;
  }

  /**
   * Adds the next directory.
   *
   * @returns the digest of `directory`, and whether it was sent for the first time
   * @throws StoreError `invalid` if the directory breaks a rule
   */
  add(directory: Directory): { digest: Digest; first: boolean } {
    checkDirectory(directory);
    const digest = directoryDigest(directory);
    const key = digestKey(digest);
    const known = this.#seen.get(key);
    if (known) {
      this.#root = known;
      return { digest, first: false };
    }
    for (const child of childDirectories(directory)) {
      const sent = this.#seen.get(digestKey(child.digest));
      if (!sent)
        throw new StoreError(
          "invalid",
          `directory ${formatDigest(digest)} refers to ${formatDigest(child.digest)}, which was not sent before it`,
        );
      const rules = this.#rules.filter((rule) => sent.sizes.get(rule) === child.size);
      if (rules.length === 0) {
        throw new StoreError(
          "invalid",
          `directory ${formatDigest(digest)} gives ${formatDigest(child.digest)} the size ${child.size}, which is wrong`,
        );
      }
      this.#rules = rules;
      sent.referenced = true;
    }
    this.#root = { digest, sizes: new Map(this.#rules.map((rule) => [rule, directorySize(directory, rule)])), referenced: false };
    this.#seen.set(key, this.#root);
    return { digest, first: true };
  }

  /**
   * Ends the stream.
   *
   * @returns digest of the root
   * @throws StoreError `invalid` if nothing was sent, or a directory is not reachable from the last
   *   one
   */
  finish(): Digest {
    const root = this.#root;
    if (!root) throw new StoreError("invalid", "no directory was sent");
    if (root.referenced) throw new StoreError("invalid", `the last directory sent, ${formatDigest(root.digest)}, is not the root`);
    for (const sent of this.#seen.values()) {
      if (!sent.referenced && sent !== root) {
        throw new StoreError(
          "invalid",
          `directory ${formatDigest(sent.digest)} can't be reached from the root ${formatDigest(root.digest)}`,
        );
      }
    }
    return root.digest;
  }

  /**
   * The rules that all directories so far agree with. Both rules, if no directory has a child
   * directory that is not empty.
   */
  get rules(): readonly DirectorySizeRule[] {
    return this.#rules;
  }
}

/**
 * Validates the order root to leaves, in which a recursive `DirectoryService.Get` sends a closure.
 * The requested root comes first. Each Directory comes after one that refers to it. None comes
 * twice, and at the end none is missing. Sizes are checked when the child arrives.
 */
export class RootToLeavesValidator {
  #rules: readonly DirectorySizeRule[];
  #root: Digest;
  /**
   * Directories that are referred to but have not arrived, with every size that a reference gives.
   */
  #expected = new Map<string, { digest: Digest; sizes: bigint[] }>();
  /** Directories that have arrived, with their size by each rule, to check later references. */
  #seen = new Map<string, Map<DirectorySizeRule, bigint>>();

  constructor(root: Digest, rules: readonly DirectorySizeRule[] = SIZE_RULES) {
    this.#root = root;
    this.#rules = rules;
    this.#expected.set(digestKey(root), { digest: root, sizes: [] });
  }

  /**
   * Adds the next directory.
   *
   * @returns the digest of `directory`
   * @throws StoreError `invalid` if the directory breaks a rule by itself; `corrupt` if it does not
   *   belong in the stream or a size is wrong
   */
  add(directory: Directory): Digest {
    checkDirectory(directory);
    const digest = directoryDigest(directory);
    const key = digestKey(digest);
    const expected = this.#expected.get(key);
    if (!expected) {
      const why = this.#seen.has(key) ? "came twice" : "was not asked for";
      throw new StoreError("corrupt", `directory ${formatDigest(digest)} ${why} in the closure of ${formatDigest(this.#root)}`);
    }
    const sizes = new Map(this.#rules.map((rule) => [rule, directorySize(directory, rule)]));
    for (const size of expected.sizes) this.#checkSize(digest, sizes, size);
    this.#expected.delete(key);
    this.#seen.set(key, sizes);
    for (const child of childDirectories(directory)) {
      const childKey = digestKey(child.digest);
      const seen = this.#seen.get(childKey);
      if (seen) this.#checkSize(child.digest, seen, child.size);
      else {
        const waiting = this.#expected.get(childKey);
        if (!waiting) this.#expected.set(childKey, { digest: child.digest, sizes: [child.size] });
        else if (!waiting.sizes.includes(child.size)) {
          // Each rule allows one size.
          if (waiting.sizes.length === SIZE_RULES.length) throw this.#wrongSize(child.digest, child.size);
          waiting.sizes.push(child.size);
        }
      }
    }
    return digest;
  }

  /** Ends the stream. @throws StoreError `corrupt` if a directory is missing */
  finish(): void {
    for (const { digest } of this.#expected.values()) {
      throw new StoreError(
        "corrupt",
        `directory ${formatDigest(digest)} is missing from the closure of ${formatDigest(this.#root)}`,
      );
    }
  }

  get rules(): readonly DirectorySizeRule[] {
    return this.#rules;
  }

  #checkSize(digest: Digest, sizes: Map<DirectorySizeRule, bigint>, size: bigint): void {
    const rules = this.#rules.filter((rule) => sizes.get(rule) === size);
    if (rules.length === 0) throw this.#wrongSize(digest, size);
    this.#rules = rules;
  }

  #wrongSize(digest: Digest, size: bigint): StoreError {
    return new StoreError("corrupt", `a reference to directory ${formatDigest(digest)} gives it the size ${size}, which is wrong`);
  }
}
