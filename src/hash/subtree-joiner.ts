import { kernel } from "./blake3.ts";

/**
 * Joins the chaining values of subtrees, in order, to the BLAKE3 digest of the whole. All subtrees
 * have one size, a power of two of chunks; only the last one may be shorter. Holds one value per
 * level of the tree.
 */
export class SubtreeJoiner {
  readonly #stack: Uint8Array[] = [];
  #count = 0;

  push(value: Uint8Array): void {
    // Join only now, when more values follow, so the pairs can't be the children of the root. The
    // number of joins is the number of trailing zero bits of the count.
    for (let rest = this.#count; rest > 0 && rest % 2 === 0; rest /= 2) this.#joinTop(false);
    this.#stack.push(value);
    this.#count++;
  }

  /**
   * Ends the content.
   *
   * @throws RangeError if fewer than two subtrees came: a single subtree has to be hashed as the
   *   root
   */
  digest(): Uint8Array {
    if (this.#count < 2) throw new RangeError("a single subtree has to be hashed as the root");
    while (this.#stack.length > 2) this.#joinTop(false);
    return this.#joinTop(true);
  }

  #joinTop(root: boolean): Uint8Array {
    const right = this.#stack.pop() as Uint8Array;
    const left = this.#stack.pop() as Uint8Array;
    const parent = kernel.parent(left, right, root);
    this.#stack.push(parent);
    return parent;
  }
}
