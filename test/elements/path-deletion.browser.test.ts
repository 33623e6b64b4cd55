import { html, LitElement, type TemplateResult } from "lit";
import { beforeAll, expect, test } from "vitest";
import { PathDeletion } from "../../src/elements/path-deletion.ts";
import { Task } from "../../src/elements/task.ts";
import { type PathInfo, type Store, StoreError } from "../../src/index.ts";
import { baseOf, fakeStore, pathInfo, untilAborted } from "./fake-store.browser.ts";
import { addElement, button, click, find, textOf } from "./page.browser.ts";

const INFO = pathInfo("doomed");

class DeletionHost extends LitElement {
  static override properties = { store: { attribute: false }, paths: { attribute: false } };
  declare store: Store | undefined;
  declare paths: readonly PathInfo[];
  readonly outcomes: (readonly [string, string])[] = [];
  readonly task = new Task(this);
  readonly deletion = new PathDeletion(this, this.task, (...outcome) => this.outcomes.push(outcome));

  override render(): TemplateResult {
    return html`${this.task.render()} ${this.deletion.render(INFO.storePath, this.paths)}`;
  }
}

beforeAll(() => customElements.define("deletion-host", DeletionHost));

interface Shown {
  readonly host: DeletionHost;
  readonly root: ShadowRoot;
  readonly dialog: HTMLDialogElement;
}

async function show(store: Store | undefined, paths: readonly PathInfo[] = [INFO]): Promise<Shown> {
  const host = addElement(Object.assign(new DeletionHost(), { store, paths }));
  await host.updateComplete;
  const root = host.renderRoot as ShadowRoot;
  return { host, root, dialog: find<HTMLDialogElement>(root, "dialog") };
}

/** A store that records what was deleted. */
function deletingStore(collectGarbage: Store["collectGarbage"]): { store: Store; deleted: string[] } {
  const deleted: string[] = [];
  const store = fakeStore({
    async delete(storePath) {
      deleted.push(storePath);
      return true;
    },
    collectGarbage,
  });
  return { store, deleted };
}

test("asks in a modal dialog that names the store path; the focus is on keeping it", async () => {
  const { host, root, dialog } = await show(fakeStore());
  expect(dialog.open).toBe(false);
  host.deletion.ask();
  expect([dialog.open, dialog.matches(":modal")]).toEqual([true, true]);
  expect(textOf(find(root, `#${dialog.getAttribute("aria-labelledby")}`))).toBe("Delete doomed?");
  expect(textOf(dialog)).toContain(INFO.storePath);
  expect(textOf(root.activeElement)).toBe("Keep it");
});

test("deletes nothing if the reader keeps the path, or closes the dialog", async () => {
  const { store, deleted } = deletingStore(() => expect.unreachable());
  const { host, dialog } = await show(store);
  host.deletion.ask();
  click(dialog, "Keep it");
  expect(dialog.open).toBe(false);
  host.deletion.ask();
  dialog.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect([deleted, host.outcomes, host.task.state]).toEqual([[], [], "idle"]);
});

test("a reader who deleted once, and then keeps another path, deletes one", async () => {
  const { store, deleted } = deletingStore(async () => ({ objects: 1, bytes: 1 }));
  const { host, dialog } = await show(store);
  host.deletion.ask();
  click(dialog, "Delete");
  await expect.poll(() => host.outcomes.length).toBe(1);
  host.deletion.ask();
  dialog.close();
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(deleted.length).toBe(1);
});

test("deletes the path, frees its space, and tells how much", async () => {
  const { store, deleted } = deletingStore(async () => ({ objects: 3, bytes: 2048 }));
  const { host, dialog } = await show(store);
  host.deletion.ask();
  click(dialog, "Delete");
  await expect.poll(() => host.outcomes).toEqual([[INFO.storePath, "Deleted doomed: 2.0 KiB freed."]]);
  expect([deleted, dialog.open]).toEqual([[INFO.storePath], false]);
});

test("warns of store paths that refer to it, but not of a reference to itself", async () => {
  const base = baseOf(INFO.storePath);
  const itself = { ...INFO, references: [base] };
  const none = await show(fakeStore(), [itself, pathInfo("other")]);
  expect(none.dialog.querySelector(".failed")).toBeNull();
  const one = await show(fakeStore(), [itself, pathInfo("a", { references: [base] })]);
  expect(textOf(one.dialog.querySelector(".failed"))).toBe("1 path in this store refers to it.");
  const two = await show(
    fakeStore(),
    ["a", "b"].map((name) => pathInfo(name, { references: [base] })),
  );
  expect(textOf(two.dialog.querySelector(".failed"))).toBe("2 paths in this store refer to it.");
});

test("a failure is shown, and is no outcome", async () => {
  const { store } = deletingStore(() => Promise.reject(new StoreError("unavailable", "the worker is gone")));
  const { host, root, dialog } = await show(store);
  host.deletion.ask();
  click(dialog, "Delete");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toBe("The worker is gone.");
  expect(host.outcomes).toEqual([]);
});

test("a cancelled collection tells that the path is deleted all the same", async () => {
  const { store, deleted } = deletingStore(untilAborted);
  const { host, root, dialog } = await show(store);
  host.deletion.ask();
  click(dialog, "Delete");
  await expect.poll(() => button(root, "Cancel")).toBeDefined();
  click(root, "Cancel");
  await expect.poll(() => textOf(root.querySelector('[role="status"]'))).toMatch(/^Cancelled. The store path is deleted/);
  expect([deleted.length, host.outcomes]).toEqual([1, []]);
});
