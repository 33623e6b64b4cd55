import { css, html } from "lit";
import { formatRoute, ROOT } from "../route.ts";
import type { PathView } from "./path-view.ts";

/** Shows the files of a store path: a tree, and a preview of the open file. */
export const filesView: PathView = {
  name: "files",
  label: "Files",
  accepts: () => true,
  styles: css`
    .view-files > .files {
      display: grid;
      grid-template-columns: minmax(13rem, 1fr) minmax(0, 2fr);
      min-height: 0;
    }
    .view-files > .files.one {
      grid-template-columns: minmax(0, 1fr);
    }
    .view-files tvix-file-tree {
      border-inline-end: 1px solid var(--line);
    }
    .view-files .preview {
      display: flex;
      flex-direction: column;
      min-width: 0;
      min-height: 0;
    }
    .view-files .preview > tvix-file-preview {
      flex: 1;
    }
    @media (max-width: 64rem) {
      .view-files > .files:not(.one) {
        grid-template: minmax(7rem, 2fr) minmax(0, 3fr) / minmax(0, 1fr);
      }
      .view-files tvix-file-tree {
        border-inline-end: 0;
        border-bottom: 1px solid var(--line);
      }
    }
    @media (max-width: 48rem) {
      .view-files > .at-tree > .preview,
      .view-files > .at-file > tvix-file-tree {
        display: none;
      }
      .view-files > .files:not(.one) {
        grid-template: minmax(0, 1fr) / minmax(0, 1fr);
      }
      .view-files tvix-file-tree {
        border: 0;
      }
    }
  `,
  render({ store, info, path, go }) {
    const { storePath } = info;
    const preview = html`<tvix-file-preview .store=${store} .storePath=${storePath} .path=${path}></tvix-file-preview>`;
    if (info.node.kind !== "directory") return html`<div class="files one">${preview}</div>`;
    return html`
      <div class="files ${path.length ? "at-file" : "at-tree"}">
        <tvix-file-tree
          .store=${store}
          .storePath=${storePath}
          .path=${path}
          @tvix-open=${(event: CustomEvent<{ path: Uint8Array }>) => go({ storePath, path: event.detail.path })}
        ></tvix-file-tree>
        <div class="preview">
          <a class="back" href=${formatRoute({ storePath, path: ROOT })}>← Files</a>
          ${preview}
        </div>
      </div>
    `;
  },
};
