import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import type { NarSizeAndHash } from "./nar.ts";
import type { LocalPathInfoService, PathInfoService } from "./path-info-service.ts";

/** A whole store: content, and the store paths that name it. */
export interface StoreServices extends CastoreServices {
  readonly pathInfos: PathInfoService;
}

/** A store of our own. */
export interface LocalStoreServices extends StoreServices {
  readonly pathInfos: LocalPathInfoService;
}

/** Calculates where the content is, if that is not here. Its word is as good as that of the store. */
export type CalculateNarThere = (node: Node, options?: { signal?: AbortSignal | undefined }) => Promise<NarSizeAndHash>;

/** A store behind a connection. */
export interface RemoteStore extends StoreServices {
  /** For messages: the address as the user gave it. */
  readonly name: string;

  /** Has the remote calculate size and hash of a NAR of what it holds. @throws StoreError `not-found` or `conflict` if content is missing */
  calculateNar: CalculateNarThere;
}
