import { bytesView } from "./bytes.ts";
import type { FileFacts, FileView } from "./file-view.ts";
import { imageView } from "./image.ts";
import { textView } from "./text.ts";

/**
 * All file views, in the order of their buttons. The first one that accepts a file shows it. The
 * last one accepts every file.
 */
export const FILE_VIEWS: readonly FileView[] = [imageView, textView, bytesView];

/** The views that accept a file, the preferred one first. Never empty, because of the last view. */
export function acceptingViews(facts: FileFacts): FileView[] {
  return FILE_VIEWS.filter((view) => view.accepts(facts));
}

/** The views that the reader can choose for a file, in the order of their buttons. */
export function offeredViews(accepting: readonly FileView[]): FileView[] {
  return FILE_VIEWS.filter((view) => view.alwaysOffered || accepting.includes(view));
}
