import { type Digest, formatDigest } from "../castore/digest.ts";
import type { DirectoryEntry } from "../castore/directory.ts";
import { MAX_TREE_DEPTH } from "../castore/ingest.ts";
import { StoreError } from "../error.ts";
import { Turn } from "../turn.ts";
import type { DirectoryReader } from "./directory-reader.ts";

/** A directory that a walk has entered and not left. */
export interface EnteredDirectory<T> {
  readonly digest: Digest;
  readonly entries: readonly DirectoryEntry[];
  /** The caller's own data about this directory. */
  readonly state: T;
}

/**
 * A depth-first walk through the directories beneath a root. The caller decides which directories
 * to enter. The walk uses its own stack and bounds the depth, because outside data decides how deep
 * a tree is.
 *
 *     await walk.enter(root, state);
 *     for (let directory = walk.current; directory; directory = walk.current) {
 *       const entry = walk.next();
 *       if (!entry) walk.leave();
 *       else if (entry.node.kind === "directory") await walk.enter(entry.node.digest, state);
 *     }
 */
export class TreeWalk<T = undefined> {
  readonly #reader: DirectoryReader;
  readonly #turn = new Turn();
  readonly #stack: (EnteredDirectory<T> & { next: number })[] = [];

  /** @param reader reads the directories; the caller closes it */
  constructor(reader: DirectoryReader) {
    this.#reader = reader;
  }

  /** The innermost directory that the walk is in; `undefined` outside the root. */
  get current(): EnteredDirectory<T> | undefined {
    return this.#stack.at(-1);
  }

  /** Returns the next entry of the current directory; `undefined` after its last entry. */
  next(): DirectoryEntry | undefined {
    const top = this.#stack.at(-1);
    return top?.entries[top.next++];
  }

  /**
   * Enters the root, or a directory inside the current one.
   *
   * @throws StoreError `not-found` if the directory is missing; `invalid` if it is nested inside
   *   more than 1024 others
   */
  async enter(digest: Digest, state: T): Promise<EnteredDirectory<T>> {
    if (this.#stack.length > MAX_TREE_DEPTH) {
      throw new StoreError(
        "invalid",
        `directory ${formatDigest(digest)} is nested inside more than ${MAX_TREE_DEPTH} directories, which is too deep`,
      );
    }
    // Directories in memory are entered without waiting, so a long walk would block other tasks.
    await this.#turn.pass();
    const { entries } = this.#reader.kept(digest) ?? (await this.#reader.read(digest));
    const entered = { digest, entries, state, next: 0 };
    this.#stack.push(entered);
    return entered;
  }

  /** Leaves the current directory for the one around it. */
  leave(): void {
    this.#stack.pop();
  }
}
