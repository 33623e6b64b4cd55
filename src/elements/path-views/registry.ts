import type { PathInfo } from "../../store/path-info.ts";
import { filesView } from "./files.ts";
import { infoView } from "./info.ts";
import type { PathView } from "./path-view.ts";

/** All path views, in the order of their tabs. The first one accepts every store path. */
export const PATH_VIEWS: readonly PathView[] = [filesView, infoView];

/** The views that accept a store path, in the order of their tabs. Contains at least `files`. */
export function pathViewsFor(info: PathInfo): PathView[] {
  return PATH_VIEWS.filter((view) => view.accepts(info));
}
