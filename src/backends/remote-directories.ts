import { equalBytes } from "../bytes.ts";
import { asDigest, type Digest, EMPTY_DIGEST, formatDigest } from "../castore/digest.ts";
import type { Directory, DirectorySizeRule } from "../castore/directory.ts";
import { LeavesToRootValidator, RootToLeavesValidator } from "../castore/directory-closure.ts";
import { directoryDigest } from "../castore/directory-codec.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import { isStoreError, StoreError } from "../error.ts";
import { checkDirectoryMessageSize } from "../wire/directory-message.ts";
import type { RemoteCapabilities } from "./remote-capabilities.ts";
import type { RemoteConnection } from "./remote-connection.ts";

interface Abortable {
  signal?: AbortSignal | undefined;
}

/**
 * Directories of a remote. Each directory is checked against its digest. Closures are checked
 * against the rules of their order, both when they are read and when they are written.
 */
export class RemoteDirectoryService implements DirectoryService {
  #connection: RemoteConnection;
  #capabilities: RemoteCapabilities;

  constructor(connection: RemoteConnection, capabilities: RemoteCapabilities) {
    this.#connection = connection;
    this.#capabilities = capabilities;
  }

  async get(digest: Digest, options: Abortable = {}): Promise<Directory | undefined> {
    options.signal?.throwIfAborted();
    if (equalBytes(digest, EMPTY_DIGEST)) return { entries: [] };
    let found: Directory | undefined;
    try {
      for await (const directory of this.#read(digest, false, options.signal)) {
        const actual = directoryDigest(directory);
        if (found || !equalBytes(actual, digest)) {
          throw new StoreError(
            "corrupt",
            `asked for directory ${formatDigest(digest)} alone, ${this.#connection.name} sent ${formatDigest(actual)}`,
          );
        }
        found = directory;
      }
    } catch (error) {
      if (!isStoreError(error, "not-found")) throw error;
    }
    // snix ends the stream without an error if the directory is missing.
    return found;
  }

  async getClosure(digest: Digest, options: Abortable = {}): Promise<AsyncIterable<Directory> | undefined> {
    options.signal?.throwIfAborted();
    if (equalBytes(digest, EMPTY_DIGEST)) return emptyClosure();
    const directories = this.#read(digest, true, options.signal);
    let first: IteratorResult<Directory>;
    try {
      first = await directories.next();
    } catch (error) {
      if (isStoreError(error, "not-found")) return undefined;
      // tvix's first version answers INTERNAL to a recursive request for a missing root.
      if (isStoreError(error, "internal") && !(await this.get(digest, options))) return undefined;
      throw error;
    }
    if (first.done) return undefined;
    return this.#checkClosure(digest, first.value, directories);
  }

  async put(directories: Iterable<Directory> | AsyncIterable<Directory>, options: Abortable = {}): Promise<Digest> {
    const what = "writing directories";
    const outgoing = new OutgoingClosure(directories);
    let answered: Uint8Array;
    try {
      answered = await this.#connection.call(what, options.signal, (client, signal) =>
        client.putDirectories(outgoing.send(), signal),
      );
    } catch (error) {
      options.signal?.throwIfAborted();
      if (outgoing.failure) throw outgoing.failure.reason;
      // The sent directories keep the rules, by one or the other size rule. snix answers INTERNAL
      // for a size rule that it refuses.
      if (isStoreError(error, "internal")) throw new StoreError("invalid", error.message, { cause: error });
      throw error;
    }
    if (outgoing.root && equalBytes(answered, outgoing.root)) return asDigest(answered);
    const expected = outgoing.root ? formatDigest(outgoing.root) : "the root of a closure that was not sent to its end";
    throw new StoreError(
      "corrupt",
      `${what}, ${this.#connection.name} answered the root ${formatDigest(answered)} instead of ${expected}`,
    );
  }

  sizeRules(options: Abortable = {}): Promise<readonly DirectorySizeRule[]> {
    return this.#capabilities.sizeRules(options.signal);
  }

  async *#checkClosure(digest: Digest, first: Directory, rest: AsyncGenerator<Directory>): AsyncGenerator<Directory> {
    try {
      const validator = new RootToLeavesValidator(digest);
      validator.add(first);
      yield first;
      for await (const directory of rest) {
        validator.add(directory);
        yield directory;
      }
      validator.finish();
    } finally {
      await rest.return(undefined);
    }
  }

  #read(digest: Digest, recursive: boolean, signal: AbortSignal | undefined): AsyncGenerator<Directory> {
    const what = `reading directory ${formatDigest(digest)}`;
    return this.#connection.stream(what, signal, (client, signal) => client.getDirectory(digest, recursive, signal));
  }
}

async function* emptyClosure(): AsyncGenerator<Directory> {
  yield { entries: [] };
}

/** Checks a closure while it is sent, because peers check less or give no reason. */
class OutgoingClosure {
  /** Digest of the root, once the whole closure is sent. */
  root: Digest | undefined;
  /** Why sending stopped early, if the reason is on this side. */
  failure: { reason: unknown } | undefined;
  #directories: Iterable<Directory> | AsyncIterable<Directory>;

  constructor(directories: Iterable<Directory> | AsyncIterable<Directory>) {
    this.#directories = directories;
  }

  async *send(): AsyncGenerator<Directory> {
    const validator = new LeavesToRootValidator();
    let outside = false;
    try {
      for await (const directory of this.#directories) {
        if (!validator.add(directory).first) continue;
        checkDirectoryMessageSize(directory);
        outside = true;
        yield directory;
        outside = false;
      }
      this.root = validator.finish();
    } catch (reason) {
      // If the call ends early, the library throws at the `yield`. That failure belongs to the
      // call.
      if (!outside) this.failure = { reason };
      throw reason;
    }
  }
}
