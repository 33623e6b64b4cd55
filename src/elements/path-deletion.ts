import { html, type LitElement, nothing, type ReactiveController, type TemplateResult } from "lit";
import type { Store } from "../browser/store.ts";
import type { PathInfo } from "../store/path-info.ts";
import { plural, showSize } from "./size.ts";
import { nameOf } from "./store-paths.ts";
import type { Task } from "./task.ts";

type DeletionHost = LitElement & { readonly store: Store | undefined };

/** Asks the reader whether to delete a store path, and deletes it. */
export class PathDeletion implements ReactiveController {
  readonly #host: DeletionHost;
  readonly #task: Task;
  readonly #deleted: (storePath: string, outcome: string) => void;

  /**
   * @param task runs the deletion, and shows a failure
   * @param deleted called after the deletion, with its outcome in words for the reader
   */
  constructor(host: DeletionHost, task: Task, deleted: (storePath: string, outcome: string) => void) {
    this.#host = host;
    this.#task = task;
    this.#deleted = deleted;
    host.addController(this);
  }

  hostConnected(): void {}

  readonly ask = (): void => {
    const dialog = this.#host.renderRoot.querySelector("dialog");
    if (!dialog) return;
    dialog.returnValue = "";
    dialog.showModal();
  };

  /**
   * Renders the dialog that `ask` opens.
   *
   * @param paths path infos of the store; the dialog warns if some of them refer to this path
   */
  render(storePath: string | undefined, paths: readonly PathInfo[]): TemplateResult {
    const base = storePath?.slice(storePath.lastIndexOf("/") + 1);
    const referrers = paths.filter((info) => info.storePath !== storePath && base && info.references.includes(base));
    return html`
      <dialog
        aria-labelledby="delete-title"
        @close=${(event: Event) => {
          if ((event.target as HTMLDialogElement).returnValue === "delete" && storePath !== undefined) void this.#delete(storePath);
        }}
      >
        <form method="dialog" class="stack">
          <h2 id="delete-title">Delete ${storePath ? nameOf(storePath) : ""}?</h2>
          <p class="mono">${storePath ?? ""}</p>
          <p>It is deleted from this browser only; daemons that have it keep it.</p>
          ${
            referrers.length
              ? html`<p class="notice failed">${plural(referrers.length, "path")} in this store ${referrers.length === 1 ? "refers" : "refer"} to it.</p>`
              : nothing
          }
          <div class="row end">
            <button value="" autofocus>Keep it</button>
            <button value="delete" class="danger">Delete</button>
          </div>
        </form>
      </dialog>
    `;
  }

  async #delete(storePath: string): Promise<void> {
    const { store } = this.#host;
    if (!store) return;
    let freed = 0;
    const deleted = await this.#task.run(
      "Deleting",
      async (options) => {
        await store.delete(storePath);
        // Collect garbage at once: a reader deletes a path to free space.
        const { bytes } = await store.collectGarbage(options);
        freed = bytes;
        return "Deleted.";
      },
      "Cancelled. The store path is deleted; the next garbage collection frees its space.",
    );
    if (deleted) this.#deleted(storePath, `Deleted ${nameOf(storePath)}: ${showSize(freed)} freed.`);
  }
}
