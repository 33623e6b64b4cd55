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
 * What a remote can do beyond the protocol, and which size rules its `DirectoryService.Put` accepts.
 * Each is found out once per connection:
 *
 * - This project's daemon says so.
 * - snix accepts doubled sizes.
 * - Under tvix's names either rule is possible, and nothing but a Put tells the two apart. So a tiny
 *   tree is put by one rule, and by the other if the remote refuses the first.
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

  /** @throws StoreError `denied` if the remote says, or a Put shows, that it accepts no writes */
  sizeRules(signal: AbortSignal | undefined): Promise<readonly DirectorySizeRule[]> {
    return this.#sizeRules.get(signal);
  }

  /** Whether the remote merges path infos by itself. */
  async mergesPathInfos(signal: AbortSignal | undefined): Promise<boolean> {
    return (await this.#told.get(signal))?.mergesPathInfos ?? false;
  }

  /** `undefined` if the remote is no daemon of this project. */
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
      // tvix and snix answer INTERNAL where they find a wrong size.
      if (!isStoreError(error, "invalid") && !isStoreError(error, "internal")) throw error;
      // If the remote refuses both, the first answer says why.
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

  /** All who use the connection wait for the answer, and none of their signals ends the question. */
  #question<T>(what: string, ask: (client: StoreClient, signal: AbortSignal | undefined) => Promise<T>): Promise<T> {
    const late = (): StoreError =>
      new StoreError("unavailable", `${what}, ${this.#connection.name} did not answer for ${QUESTION_TIMEOUT / 1000} seconds`);
    return withDeadline(QUESTION_TIMEOUT, late, (signal) => this.#connection.call(what, signal, ask));
  }
}

/** A question that is asked once, for all who wait for the answer. It is asked again after a failure. */
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

/** The smallest tree whose encoding depends on the rule. It refers to no blob. */
async function* sampleTree(rule: DirectorySizeRule): AsyncGenerator<Directory> {
  const inner = makeDirectory([{ name: utf8("symlink"), node: { kind: "symlink", target: utf8("size-rule") } }]);
  yield inner;
  yield makeDirectory([{ name: utf8("directory"), node: directoryNode(inner, rule) }]);
}
