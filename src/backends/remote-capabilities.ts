import { utf8 } from "../bytes.ts";
import { type Directory, type DirectorySizeRule, makeDirectory } from "../castore/directory.ts";
import { directoryNode } from "../castore/directory-codec.ts";
import { isStoreError, StoreError } from "../error.ts";
import { untilAborted } from "../until-aborted.ts";
import type { Capabilities } from "../wire/capabilities-message.ts";
import type { StoreClient } from "../wire/client.ts";
import { isUnimplemented } from "../wire/status.ts";
import { withDeadline } from "../with-deadline.ts";
import { QUESTION_TIMEOUT, type RemoteConnection } from "./remote-connection.ts";

/**
 * Finds out the abilities of a remote beyond the protocol, and the size rules that its
 * `DirectoryService.Put` accepts. It asks each question once per connection:
 *
 * - This project's daemon states both.
 * - snix accepts doubled sizes.
 * - Under tvix's names either rule is possible, and only a Put tells the two apart. So the class
 *   puts a tiny tree by one rule. If the remote refuses it, the class puts the tree by the other
 *   rule.
 */
export class RemoteCapabilities {
  readonly #connection: RemoteConnection;
  readonly #told: Once<Capabilities | undefined>;
  readonly #sizeRules: Once<readonly DirectorySizeRule[]>;

  constructor(connection: RemoteConnection) {
    this.#connection = connection;
    this.#told = new Once(() => this.#ask());
    this.#sizeRules = new Once(() => this.#findSizeRules());
  }

  /** @throws StoreError `denied` if the remote states, or a Put shows, that it accepts no writes */
  sizeRules(signal: AbortSignal | undefined): Promise<readonly DirectorySizeRule[]> {
    return this.#sizeRules.get(signal);
  }

  /** Whether the remote merges path infos itself. */
  async mergesPathInfos(signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#told.get(signal))?.mergesPathInfos ?? false;
  }

  /** Returns `undefined` if the remote is not a daemon of this project. */
  async #ask(): Promise<Capabilities | undefined> {
    try {
      return await this.#question("asking for capabilities", (client, signal) => client.capabilities(signal));
    } catch (error) {
      if (isStoreError(error) && isUnimplemented(error.cause)) return undefined;
      throw error;
    }
  }

  async #findSizeRules(): Promise<readonly DirectorySizeRule[]> {
    const told = await this.#told.get(undefined);
    if (told?.sizeRules.length === 0) throw new StoreError("denied", `${this.#connection.name} is read-only`);
    if (told) return told.sizeRules;
    return (await this.#connection.family()) === "snix" ? ["doubled"] : this.#trySizeRules();
  }

  async #trySizeRules(): Promise<readonly DirectorySizeRule[]> {
    try {
      await this.#putSample("documented");
      return ["documented"];
    } catch (error) {
      // tvix and snix answer INTERNAL for a wrong size.
      if (!isStoreError(error, "invalid") && !isStoreError(error, "internal")) throw error;
      // If the remote refuses both rules, the first answer has the reason.
      return this.#putSample("doubled").then(
        () => ["doubled"] as const,
        () => Promise.reject(error),
      );
    }
  }

  async #putSample(rule: DirectorySizeRule): Promise<void> {
    const what = "finding out how directory sizes are counted";
    await this.#question(what, (client, signal) => client.putDirectories(sampleTree(rule), signal));
  }

  /**
   * Asks a question. All users of the connection share its answer, so none of their signals aborts
   * it.
   */
  #question<T>(what: string, ask: (client: StoreClient, signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const late = (): StoreError =>
      new StoreError("unavailable", `${what}, ${this.#connection.name} did not answer for ${QUESTION_TIMEOUT / 1000} seconds`);
    return withDeadline(QUESTION_TIMEOUT, late, (signal) => this.#connection.call(what, signal, ask));
  }
}

/** A question that is asked once and answered to all callers. After a failure it is asked again. */
class Once<T> {
  readonly #ask: () => Promise<T>;
  #answer: Promise<T> | undefined;

  constructor(ask: () => Promise<T>) {
    this.#ask = ask;
  }

  get(signal: AbortSignal | undefined): Promise<T> {
    signal?.throwIfAborted();
    if (!this.#answer) {
      this.#answer = this.#ask();
      this.#answer.catch(() => {
        this.#answer = undefined;
      });
    }
    return untilAborted(this.#answer, signal);
  }
}

/** Yields the smallest tree whose encoding depends on the rule. It refers to no blob. */
async function* sampleTree(rule: DirectorySizeRule): AsyncGenerator<Directory> {
  const inner = makeDirectory([{ name: utf8("symlink"), node: { kind: "symlink", target: utf8("size-rule") } }]);
  yield inner;
  yield makeDirectory([{ name: utf8("directory"), node: directoryNode(inner, rule) }]);
}
