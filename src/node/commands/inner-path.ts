import { parseHashPart, STORE_DIR } from "../../nix/store-path.ts";
import { parseEntryPath } from "../../store/list.ts";

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
