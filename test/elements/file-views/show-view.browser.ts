import { render } from "lit";
import { afterEach } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { type FileFacts, type FileView, HEAD_LENGTH, type OpenFileView } from "../../../src/elements/file-views/file-view.ts";
import { pseudoRandom } from "../../conformance/content.ts";

export const PNG_SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
export const BINARY = pseudoRandom(10_000, 1);
export const SVG = utf8('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4"/></svg>');

/** An image of 8 by 4 pixels. */
export async function png(): Promise<Uint8Array> {
  const canvas = document.createElement("canvas");
  canvas.width = 8;
  canvas.height = 4;
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("the canvas gave no image");
  return new Uint8Array(await blob.arrayBuffer());
}

/** The facts about a file with this content. */
export function factsOf(content: Uint8Array): FileFacts {
  const bytes = new Uint8Array(content);
  return {
    storePath: "/nix/store/jn8hsc1hh5smdznh7w69bcjlg3s7c5ki-case",
    path: utf8("dir/file"),
    name: utf8("file"),
    size: bytes.length,
    head: bytes.slice(0, HEAD_LENGTH),
    read: async (start, end) => bytes.slice(start, end),
  };
}

/** A file that a view shows. */
export interface Shown {
  readonly open: OpenFileView;
  readonly content: HTMLElement;
  readonly controls: HTMLElement;
  gaveUp: boolean;
  /** Resolves once the reads that have started are shown. */
  settled(): Promise<void>;
}

const shown: Shown[] = [];
afterEach(() => {
  for (const { open, content } of shown.splice(0)) {
    open.close?.();
    content.remove();
  }
});

/** Shows a file in a view, as the preview does. */
export async function show(view: FileView, facts: FileFacts): Promise<Shown> {
  const content = document.body.appendChild(document.createElement("div"));
  const controls = document.createElement("div");
  let reading = Promise.resolve();
  const open = view.open(facts, {
    load(load) {
      reading = Promise.all([reading, load()]).then(() => {});
    },
    giveUp() {
      result.gaveUp = true;
    },
  });
  const result: Shown = {
    open,
    content,
    controls,
    gaveUp: false,
    async settled() {
      await reading;
      render(open.content(), content);
      render(open.controls?.(), controls);
    },
  };
  shown.push(result);
  await result.settled();
  return result;
}
