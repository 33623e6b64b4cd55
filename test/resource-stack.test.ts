import { expect, test } from "vitest";
import { acquiring, ResourceStack } from "../src/resource-stack.ts";

/** A stack with resources of each kind, and the list of those that were released. */
function filled(): { stack: ResourceStack; released: string[] } {
  const stack = new ResourceStack();
  const released: string[] = [];
  stack.use({ close: () => void released.push("used") });
  stack.adopt("adopted", async (name) => {
    await Promise.resolve();
    released.push(name);
  });
  stack.defer(() => void released.push("deferred"));
  return { stack, released };
}

test("resources are released in reverse order, once", async () => {
  const { stack, released } = filled();
  const disposing = stack.dispose();
  expect(released).toEqual(["deferred"]);
  await disposing;
  expect(released).toEqual(["deferred", "adopted", "used"]);
  await stack.dispose();
  expect(released).toHaveLength(3);
});

test("a release that fails does not keep the others from running, and the first error is thrown", async () => {
  const { stack, released } = filled();
  stack.defer(() => {
    throw new RangeError("second");
  });
  stack.defer(() => Promise.reject(new TypeError("first")));
  await expect(stack.dispose()).rejects.toThrow("first");
  expect(released).toEqual(["deferred", "adopted", "used"]);
});

test("a resource that comes after the end is released at once", async () => {
  const { stack, released } = filled();
  await stack.dispose();
  expect(stack.use({ late: true, close: () => void released.push("late") }).late).toBe(true);
  expect(released.at(-1)).toBe("late");
  stack.defer(() => Promise.reject(new Error("nobody waits for this")));
});

test("a resource that comes during the release is released in the same run", async () => {
  const { stack, released } = filled();
  stack.defer(async () => {
    await Promise.resolve();
    stack.defer(() => void released.push("late"));
  });
  await stack.dispose();
  expect(released).toEqual(["late", "deferred", "adopted", "used"]);
});

test("work that fails releases what it acquired, and rejects with its own error", async () => {
  const released: string[] = [];
  const failing = acquiring(async (acquired) => {
    acquired.defer(() => void released.push("first"));
    acquired.defer(() => Promise.reject(new Error("while cleaning up")));
    throw new TypeError("the reason");
  });
  await expect(failing).rejects.toThrow(TypeError);
  expect(released).toEqual(["first"]);
});

test("work that succeeds keeps its resources", async () => {
  const released: string[] = [];
  const kept = await acquiring(async (acquired) => {
    acquired.defer(() => void released.push("first"));
    return acquired;
  });
  expect(released).toEqual([]);
  await kept.dispose();
  expect(released).toEqual(["first"]);
});
