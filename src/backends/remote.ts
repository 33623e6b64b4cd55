import type { Transport } from "@connectrpc/connect";
import { type DirectorySizeRule, sizeRuleShownBy } from "../castore/directory.ts";
import { isStoreError } from "../error.ts";
import type { HashEngine } from "../hash/engine.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";
import type { RemoteStore } from "../store/services.ts";
import { RemoteBlobService } from "./remote-blobs.ts";
import { RemoteConnection } from "./remote-connection.ts";
import { RemoteDirectoryService } from "./remote-directories.ts";
import { RemotePathInfoService } from "./remote-path-infos.ts";

export interface RemoteStoreOptions {
  /** The remote's address, for messages. */
  name: string;
  /**
   * `tvix`: services under tvix's names, directory sizes as documented. `snix`: snix's names, sizes doubled. `auto`, the default: the
   * names that the remote has (tvix's, if both), and sizes as those of the directories that it holds.
   */
  dialect?: "auto" | "tvix" | "snix" | undefined;
  /** Where blobs are hashed; in this thread by default. */
  engine?: HashEngine | undefined;
}

/** Store paths that are looked at, at most, to find out how a remote counts. Nearly any real one shows it. */
const MAX_SAMPLES = 32;

/** A store behind `transport`. Nothing is sent before the first use. */
export function connectRemoteStore(transport: Transport, options: RemoteStoreOptions): RemoteStore {
  const { name, dialect = "auto", engine = new InlineHashEngine() } = options;
  const connection = new RemoteConnection(transport, name, dialect === "auto" ? undefined : dialect);
  const directories = new RemoteDirectoryService(connection);
  const pathInfos = new RemotePathInfoService(connection);
  let known: DirectorySizeRule | undefined;
  if (dialect !== "auto") known = dialect === "tvix" ? "documented" : "doubled";
  return {
    name,
    blobs: new RemoteBlobService(connection, engine),
    directories,
    pathInfos,
    calculateNar: (node, { signal } = {}) =>
      connection.call("calculating a NAR", signal, (client, signal) => client.calculateNar(node, signal)),
    async sizeRule({ signal } = {}) {
      if (known) return known;
      let samples = 0;
      try {
        for await (const { node } of pathInfos.list({ signal })) {
          const root = node.kind === "directory" && (await directories.get(node.digest, { signal }));
          if (root) known = sizeRuleShownBy(root, node.size);
          if (known || ++samples === MAX_SAMPLES) break;
        }
      } catch (error) {
        // Who has a binary cache behind it, for one, tells nobody what it has.
        if (!isStoreError(error, "denied")) throw error;
      }
      return known;
    },
  };
}
