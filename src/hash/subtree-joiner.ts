import { kernel } from "./blake3.ts";

/**
 * Joins the chaining values of subtrees, as they come in order, to BLAKE3's digest of the whole. Subtrees have one size, a power of
 * two of chunks; only the last may be shorter. What is kept is a value for each level of the tree.
 */
export class SubtreeJoiner {
  readonly #stack: Uint8Array[] = [];
  #count = 0;

  push(value: Uint8Array): void {
    // Joined only now, when it is known that they are not the root's children: as many pairs as the count ends with zeros.
    for (let rest = this.#count; rest > 0 && rest % 2 === 0; rest /= 2) this.#joinTop(false);
    this.#stack.push(value);
    this.#count++;
  }

  /** @throws RangeError if fewer than two subtrees came: one alone has to be hashed as the root */
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
