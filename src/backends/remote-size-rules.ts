import { utf8 } from "../bytes.ts";
import { type Directory, type DirectorySizeRule, makeDirectory } from "../castore/directory.ts";
import { directoryNode } from "../castore/directory-codec.ts";
import { isStoreError } from "../error.ts";
import { untilAborted } from "../until-aborted.ts";
import { isUnimplemented } from "../wire/status.ts";
import type { RemoteConnection } from "./remote-connection.ts";

/**
 * Finds out which size rules a remote's `DirectoryService.Put` accepts, once per connection:
 *
 * - This project's daemon says so.
 * - snix accepts doubled sizes.
 * - Under tvix's names either rule is possible, and the two are not told apart by anything but a
 *   Put. So a tiny tree is put by one rule, and by the other if the remote refuses the first.
 */
export class RemoteSizeRules {
  readonly #connection: RemoteConnection;
  #known: Promise<readonly DirectorySizeRule[]> | undefined;

  constructor(connection: RemoteConnection) {
    this.#connection = connection;
  }

  /** @throws StoreError `denied` if it takes a Put to find out and the remote accepts no writes */
  get(signal: AbortSignal | undefined): Promise<readonly DirectorySizeRule[]> {
    if (!this.#known) {
      this.#known = this.#ask();
      this.#known.catch(() => {
        this.#known = undefined;
      });
    }
    return untilAborted(this.#known, signal);
  }

  /** Without a signal: the answer is for every caller who waits. */
  async #ask(): Promise<readonly DirectorySizeRule[]> {
    try {
      return await this.#connection.call(WHAT, undefined, (client) => client.sizeRules());
    } catch (error) {
      if (!isStoreError(error) || !isUnimplemented(error.cause)) throw error;
    }
    return (await this.#connection.family()) === "snix" ? ["doubled"] : this.#try();
  }

  async #try(): Promise<readonly DirectorySizeRule[]> {
    try {
      await this.#put("documented");
      return ["documented"];
    } catch (error) {
      // tvix and snix answer INTERNAL where they find a wrong size.
      if (!isStoreError(error, "invalid") && !isStoreError(error, "internal")) throw error;
      // If the remote refuses both, the first answer says why.
      return this.#put("doubled").then(
        () => ["doubled"] as const,
        () => Promise.reject(error),
      );
    }
  }

  async #put(rule: DirectorySizeRule): Promise<void> {
    await this.#connection.call(WHAT, undefined, (client) => client.putDirectories(sampleTree(rule)));
  }
}

/** For messages. */
const WHAT = "finding out how directory sizes are counted";

/** The smallest tree whose encoding depends on the rule. It refers to no blob. */
async function* sampleTree(rule: DirectorySizeRule): AsyncGenerator<Directory> {
  const inner = makeDirectory([{ name: utf8("symlink"), node: { kind: "symlink", target: utf8("size-rule") } }]);
  yield inner;
  yield makeDirectory([{ name: utf8("directory"), node: directoryNode(inner, rule) }]);
}
