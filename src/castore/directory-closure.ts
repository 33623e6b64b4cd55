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
 * The two orders in which a closure of directories travels, and their checks. Both hold a digest and a size per directory, not the
 * directories themselves.
 */

/** The rules that can still hold for a stream, and what each gives as the size of a directory in it. */
interface Sizes {
  digest: Digest;
  sizes: Map<DirectorySizeRule, bigint>;
  referenced: boolean;
}

/**
 * Leaves to root, as `DirectoryService.Put` takes it: a Directory refers only to those sent before it, sizes of children are exact by
 * one and the same rule throughout, and everything is reachable from the last one. A Directory that comes again is ignored.
 */
export class LeavesToRootValidator {
  #rules: readonly DirectorySizeRule[];
  #seen = new Map<string, Sizes>();
  #root: Sizes | undefined;

  /** @param rules which size rules are accepted; by default either, but one for the whole stream */
  constructor(rules: readonly DirectorySizeRule[] = SIZE_RULES) {
    this.#rules = rules;
  }

  /** @returns the digest of `directory`, and whether it came for the first time. @throws StoreError `invalid` */
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

  /** Ends the stream. @returns the root's digest. @throws StoreError `invalid` if there is none, or something does not belong to it */
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

  /** The rules that everything sent so far agrees with: both, where no directory has a non-empty child directory of its own. */
  get rules(): readonly DirectorySizeRule[] {
    return this.#rules;
  }
}

/**
 * Root to leaves, as a recursive `DirectoryService.Get` sends it: first the root that was asked for, then each Directory only after
 * one that refers to it, none twice, and in the end none missing. Sizes are checked when the child comes.
 */
export class RootToLeavesValidator {
  #rules: readonly DirectorySizeRule[];
  #root: Digest;
  /** Referred to and not yet here, with every size it was referred to by. */
  #expected = new Map<string, { digest: Digest; sizes: bigint[] }>();
  /** Here already, with its size by each rule, for references that come later. */
  #seen = new Map<string, Map<DirectorySizeRule, bigint>>();

  constructor(root: Digest, rules: readonly DirectorySizeRule[] = SIZE_RULES) {
    this.#root = root;
    this.#rules = rules;
    this.#expected.set(digestKey(root), { digest: root, sizes: [] });
  }

  /** @returns the digest of `directory`. @throws StoreError `corrupt` */
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
          // Each rule allows one.
          if (waiting.sizes.length === SIZE_RULES.length) throw this.#wrongSize(child.digest, child.size);
          waiting.sizes.push(child.size);
        }
      }
    }
    return digest;
  }

  /** Ends the stream. @throws StoreError `corrupt` if something is missing */
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
    return new StoreError("corrupt", `directory ${formatDigest(digest)} is referred to by the size ${size}, which is wrong`);
  }
}
