import type { Transport } from "@connectrpc/connect";
import type { HashEngine } from "../hash/engine.ts";
import { InlineHashEngine } from "../hash/inline-engine.ts";
import type { RemoteStore } from "../store/services.ts";
import { RemoteBlobService } from "./remote-blobs.ts";
import { RemoteCapabilities } from "./remote-capabilities.ts";
import { RemoteConnection } from "./remote-connection.ts";
import { RemoteDirectoryService } from "./remote-directories.ts";
import { RemotePathInfoService } from "./remote-path-infos.ts";

export interface RemoteStoreOptions {
  /** Address of the remote, for messages. */
  name: string;
  /**
   * Names of the remote's services. `auto`, the default, detects them, and prefers tvix's if the
   * remote has both.
   */
  dialect?: "auto" | "tvix" | "snix" | undefined;
  /** Where blobs are hashed; in this thread by default. */
  engine?: HashEngine | undefined;
}

/** Returns a client of the store behind `transport`. Sends nothing before the first use. */
export function connectRemoteStore(transport: Transport, options: RemoteStoreOptions): RemoteStore {
  const { name, dialect = "auto", engine = new InlineHashEngine() } = options;
  const connection = new RemoteConnection(transport, name, dialect === "auto" ? undefined : dialect);
  const capabilities = new RemoteCapabilities(connection);
  return {
    name,
    blobs: new RemoteBlobService(connection, engine),
    directories: new RemoteDirectoryService(connection, capabilities),
    pathInfos: new RemotePathInfoService(connection, capabilities),
    calculateNar: (node, { signal } = {}) =>
      connection.call("calculating a NAR", signal, (client, signal) => client.calculateNar(node, signal)),
  };
}
