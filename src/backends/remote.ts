import type { Transport } from "@connectrpc/connect";
import { type DirectorySizeRule, directorySize } from "../castore/directory.ts";
import type { DirectoryService } from "../castore/directory-service.ts";
import type { Node } from "../castore/node.ts";
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
    async sizeRule({ signal } = {}) {
      if (known) return known;
      let samples = 0;
      for await (const { node } of pathInfos.list({ signal })) {
        known = await sizeRuleShownBy(directories, node, signal);
        if (known || ++samples === MAX_SAMPLES) break;
      }
      return known;
    },
  };
}

/** The two rules differ as soon as a directory has a directory in it: then the size in the root node follows only one of them. */
async function sizeRuleShownBy(
  directories: DirectoryService,
  root: Node,
  signal: AbortSignal | undefined,
): Promise<DirectorySizeRule | undefined> {
  if (root.kind !== "directory") return undefined;
  const directory = await directories.get(root.digest, { signal });
  if (!directory) return undefined;
  const documented = directorySize(directory, "documented") === root.size;
  const doubled = directorySize(directory, "doubled") === root.size;
  if (documented === doubled) return undefined;
  return documented ? "documented" : "doubled";
}
