import { render } from "lit";
import { expect, test } from "vitest";
import { Task } from "../../src/elements/task.ts";
import { type Progress, StoreError } from "../../src/index.ts";

function makeTask(): Task {
  const host = Object.assign(document.createElement("div"), {
    addController() {},
    removeController() {},
    requestUpdate() {},
    updateComplete: Promise.resolve(true),
  });
  return new Task(host);
}

test("a cancelled task reports what remains, as of that time", async () => {
  const task = makeTask();
  const never = ({ signal }: { signal: AbortSignal }): Promise<string> =>
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const running = task.run("Working", never, "Cancelled. Two things are kept.");
  task.cancel();
  expect(await running).toBe(false);
  expect([task.state, task.message]).toEqual(["cancelled", "Cancelled. Two things are kept."]);

  let kept = 0;
  const counting = task.run("Working", never, () => `Cancelled. ${kept} things are kept.`);
  kept = 3;
  task.cancel();
  expect(await counting).toBe(false);
  expect(task.message).toBe("Cancelled. 3 things are kept.");
});

test("a task that fails or succeeds reports only that", async () => {
  const task = makeTask();
  const failing = (message: string) => (): Promise<string> => Promise.reject(new StoreError("unavailable", message));
  expect(await task.run("Working", failing("the daemon is gone"), "Cancelled.")).toBe(false);
  expect([task.state, task.message]).toEqual(["failed", "The daemon is gone."]);
  expect(await task.run("Working", failing("the file is gone. Pick it again."), "Cancelled.")).toBe(false);
  expect(task.message).toBe("The file is gone. Pick it again.");
  expect(await task.run("Working", async () => "Done.", "Cancelled.")).toBe(true);
  expect([task.state, task.message]).toEqual(["done", "Done."]);
});

test.each<[Progress, string]>([
  [{ phase: "listing files", unit: "bytes", loaded: 2048, total: 4096 }, "listing files 2.0 KiB of 4.0 KiB"],
  [{ phase: "upgrading", unit: "objects", loaded: 2048, total: 4096 }, `upgrading ${count(2048)} of ${count(4096)}`],
  [{ phase: "marking", unit: "paths", loaded: 2048 }, `marking ${count(2048)}`],
  [{ phase: "waiting for another tab", unit: "none", loaded: 0 }, "waiting for another tab"],
])("the unit of the progress, not the name of its phase, decides how the amount is shown: $0.unit", async (progress, shown) => {
  const task = makeTask();
  const page = document.createElement("div");
  await task.run(
    "Working",
    async ({ onProgress }) => {
      onProgress(progress);
      render(task.render(), page);
      return "Done.";
    },
    "Cancelled.",
  );
  expect(page.querySelector(".running .dim")?.textContent?.trim()).toBe(shown);
});

function count(value: number): string {
  return value.toLocaleString();
}
