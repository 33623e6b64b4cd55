import { isStoreError, StoreError } from "../error.ts";
import { parseHashPart } from "../nix/store-path.ts";
import type { PathInfo } from "../store/path-info.ts";
import { checkPathInfo } from "../store/path-info-check.ts";
import { mergePathInfo } from "../store/path-info-merge.ts";
import type { PathInfoService } from "../store/path-info-service.ts";
import type { RemoteCapabilities } from "./remote-capabilities.ts";
import type { RemoteConnection } from "./remote-connection.ts";

interface Abortable {
  signal?: AbortSignal | undefined;
}

/**
 * Path infos of a remote, as the remote states them. Only a copy shows whether the content agrees.
 */
export class RemotePathInfoService implements PathInfoService {
  #connection: RemoteConnection;
  #capabilities: RemoteCapabilities;

  constructor(connection: RemoteConnection, capabilities: RemoteCapabilities) {
    this.#connection = connection;
    this.#capabilities = capabilities;
  }

  async get(hashPart: string, options: Abortable = {}): Promise<PathInfo | undefined> {
    const wanted = parseHashPart(hashPart);
    const what = `asking for store path ${wanted}`;
    try {
      const info = await this.#connection.call(what, options.signal, (client, signal) => client.getPathInfo(wanted, signal));
      this.#checkHashPart(what, info, wanted);
      return info;
    } catch (error) {
      if (isStoreError(error, "not-found")) return undefined;
      throw error;
    }
  }

  /**
   * Writes a path info. A stock remote overwrites an existing one, so the merge happens here for
   * it. That merge is not atomic.
   */
  async put(info: PathInfo, options: Abortable = {}): Promise<PathInfo> {
    checkPathInfo(info);
    const what = `writing ${info.storePath}`;
    const merges = await this.#capabilities.mergesPathInfos(options.signal);
    const earlier = merges ? undefined : await this.get(parseHashPart(info.storePath), options);
    const merged = mergePathInfo(info, earlier);
    const stored = await this.#connection.call(what, options.signal, (client, signal) => client.putPathInfo(merged, signal));
    this.#checkHashPart(what, stored, parseHashPart(info.storePath));
    return stored;
  }

  list(options: Abortable = {}): AsyncGenerator<PathInfo> {
    return this.#connection.stream("listing store paths", options.signal, (client, signal) => client.listPathInfos(signal));
  }

  #checkHashPart(what: string, info: PathInfo, wanted: string): void {
    if (parseHashPart(info.storePath) === wanted) return;
    throw new StoreError("corrupt", `${what}, ${this.#connection.name} answered ${info.storePath}`);
  }
}
