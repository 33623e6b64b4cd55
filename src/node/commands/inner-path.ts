import type { Node } from "../../castore/node.ts";
import { StoreError } from "../../error.ts";
import { parseHashPart, STORE_DIR } from "../../nix/store-path.ts";
import { requirePathInfo } from "../../store/closure.ts";
import { parseEntryPath, resolvePath } from "../../store/list.ts";
import type { StoreServices } from "../../store/services.ts";

/** A store path and a path inside it. The empty path is the root. */
export interface InnerPath {
  readonly storePath: string;
  readonly path: string;
}

/**
 * Parses `STORE_PATH/sub/path`. The store path can have any form that `parseHashPart` accepts.
 *
 * @throws StoreError `invalid` if either path has a wrong form
 */
export function parseInnerPath(text: string): InnerPath {
  const start = text.startsWith(`${STORE_DIR}/`) ? STORE_DIR.length + 1 : 0;
  const slash = text.indexOf("/", start);
  const end = slash === -1 ? text.length : slash;
  const inner = { storePath: text.slice(0, end), path: text.slice(end + 1).replace(/\/$/, "") };
  parseHashPart(inner.storePath);
  parseEntryPath(inner.path);
  return inner;
}

/**
 * @throws StoreError `not-found` if the store doesn't have the store path, or the store path has
 *   nothing at the inner path
 */
export async function requireNode(store: StoreServices, { storePath, path }: InnerPath, signal: AbortSignal): Promise<Node> {
  const info = await requirePathInfo(store.pathInfos, storePath, { signal });
  const node = await resolvePath(store, info.node, path, { signal });
  if (!node) throw new StoreError("not-found", `${info.storePath} has nothing at ${JSON.stringify(path)}`);
  return node;
}
