import { expect, test } from "vitest";
import { utf8 } from "../../../src/bytes.ts";
import { HEAD_LENGTH } from "../../../src/elements/file-views/file-view.ts";
import { textView } from "../../../src/elements/file-views/text.ts";
import { factsOf, show } from "./show-view.browser.ts";

test("numbers the lines and tells the encoding", async () => {
  const { content, controls } = await show(textView, factsOf(utf8("one\ntwo\n\nfour\n")));
  expect(content.querySelector(".numbers")?.textContent).toBe("1\n2\n3\n4");
  expect(content.querySelector(".content")?.textContent).toBe("one\ntwo\n\nfour\n");
  expect(controls.textContent).toContain("UTF-8");
  expect(controls.querySelector("button, .bad")).toBeNull();
});

test("warns of characters that change the direction of the text", async () => {
  const { controls } = await show(textView, factsOf(utf8("access \u202edenied")));
  expect(controls.querySelector(".bad")).not.toBeNull();
});

test("shows more of a long text in steps, up to the end", async () => {
  const text = await show(textView, factsOf(utf8("0123456789abcde\n".repeat(40_000))));
  const lengths = [];
  for (;;) {
    lengths.push(text.content.querySelector(".content")?.textContent?.length);
    const more = text.controls.querySelector("button");
    if (!more) break;
    more.click();
    await text.settled();
  }
  expect(lengths).toEqual([HEAD_LENGTH, 2 * HEAD_LENGTH, 640_000]);
});

test("shows at most 8 MiB, and offers no more", async () => {
  const content = utf8("x".repeat(8 * 1024 * 1024 + 1));
  // A longer head than the preview reads spares the thirty steps that lead to the limit.
  const text = await show(textView, { ...factsOf(content), head: new Uint8Array(content).slice(0, 8 * 1024 * 1024 - 1) });
  // The browser would lay out the long line.
  text.content.remove();
  text.controls.querySelector("button")?.click();
  await text.settled();
  expect(text.controls.querySelector("button")).toBeNull();
  expect(text.content.querySelector(".content")?.textContent?.length).toBe(8 * 1024 * 1024);
});

test("shows a binary file that the reader wants as text, with replacement characters", async () => {
  const { content, controls } = await show(textView, factsOf(new Uint8Array([0x41, 0x00, 0xff, 0x1b, 0x0a])));
  expect(content.querySelector(".content")?.textContent).toBe("A\ufffd\ufffd\ufffd\n");
  expect(controls.textContent).toContain("Not text");
});
