import { decodeUtf8Strict } from "../bytes.ts";
import { STORE_DIR } from "../nix/store-path.ts";
import type { ListEntry } from "../store/list-entry.ts";
import { showName } from "./file-name.ts";
import { joinPath, parseRoute, type Route, splitPath } from "./route.ts";

type Link = Pick<ListEntry, "targetBytes">;

/** Target of a symlink as text, escaped so that it can be shown. */
export function showTarget(entry: Link): string {
  return entry.targetBytes ? showName(entry.targetBytes) : "";
}

/**
 * Route to the target of the symlink at `path` of `storePath`; undefined if the target is outside
 * the store. Works on the text alone: does not check whether the target exists, and does not follow
 * other links on the way.
 */
export function linkTarget(storePath: string, path: Uint8Array, entry: Link): Route | undefined {
  const target = entry.targetBytes;
  if (!target) return undefined;
  const absolute = target[0] === 0x2f;
  const names = absolute ? [] : [...splitPath(new TextEncoder().encode(storePath)), ...splitPath(path)].slice(0, -1);
  for (const name of splitPath(target)) {
    const text = decodeUtf8Strict(name);
    if (text === "..") names.pop();
    else if (text !== ".") names.push(name);
  }
  const base = names[2] && decodeUtf8Strict(names[2]);
  if (base === undefined || names.slice(0, 2).map(decodeUtf8Strict).join("/") !== STORE_DIR.slice(1)) return undefined;
  const route = parseRoute(`#${STORE_DIR}/${base}`);
  return route.storePath === undefined ? undefined : { storePath: route.storePath, path: joinPath(names.slice(3)) };
}
