import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import type { NarSizeAndHash } from "./nar.ts";
import type { LocalPathInfoService, PathInfoService } from "./path-info-service.ts";

/** A whole store: content, and the store paths that refer to it. */
export interface StoreServices extends CastoreServices {
  readonly pathInfos: PathInfoService;
}

/** A store on our own storage. */
export interface LocalStoreServices extends StoreServices {
  readonly pathInfos: LocalPathInfoService;
}

/**
 * Calculates the NAR's size and hash at the remote that holds the content. The caller trusts the
 * answer as much as the remote.
 */
export type CalculateNarThere = (node: Node, options?: { signal?: AbortSignal | undefined }) => Promise<NarSizeAndHash>;

/** A store behind a connection. */
export interface RemoteStore extends StoreServices {
  /** Address as the user gave it, for messages. */
  readonly name: string;

  /**
   * Calculates at the remote the size and hash of the NAR of content that the remote holds.
   *
   * @throws StoreError `not-found` or `conflict` if content is missing
   */
  calculateNar: CalculateNarThere;
}
