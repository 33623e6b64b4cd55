import { expect, test } from "vitest";
import { concatBytes, utf8 } from "../../../src/bytes.ts";
import type { FileView } from "../../../src/elements/file-views/file-view.ts";
import { acceptingViews, FILE_VIEWS, offeredViews } from "../../../src/elements/file-views/registry.ts";
import { selectorsOf } from "../view-styles.browser.ts";
import { BINARY, factsOf, PNG_SIGNATURE, png, SVG, show } from "./show-view.browser.ts";

const namesOf = (views: readonly FileView[]): string[] => views.map(({ name }) => name);

/** A sample of each view, and a part of what the view renders. */
const SAMPLES: Readonly<Record<string, { content: () => Promise<Uint8Array>; selector: string }>> = {
  image: { content: png, selector: 'img[alt="file"][src^="blob:"]' },
  text: { content: async () => utf8("one\ntwo\n"), selector: "pre.content" },
  bytes: { content: async () => BINARY, selector: "pre.hex" },
};

test("each view has a sample, a name of its own, and styles that apply to itself only", () => {
  expect(namesOf(FILE_VIEWS).sort()).toEqual(Object.keys(SAMPLES).sort());
  for (const { name, styles } of FILE_VIEWS) {
    const selectors = selectorsOf(styles);
    expect(selectors).not.toEqual([]);
    expect(selectors.filter((selector) => !selector.startsWith(`.view-${name} `))).toEqual([]);
  }
});

test.each(Object.entries(SAMPLES))("%s is the first view to accept its sample, and renders it", async (name, sample) => {
  const facts = factsOf(await sample.content());
  const [view] = acceptingViews(facts);
  expect(view?.name).toBe(name);
  if (!view) return;
  const { content } = await show(view, facts);
  expect(content.querySelector(sample.selector)).not.toBeNull();
});

test("an unknown file is shown as bytes, and can be chosen as text, but not as an image", () => {
  for (const content of [BINARY, new Uint8Array([0]), concatBytes([utf8("\x7fELF"), new Uint8Array(20)])]) {
    const accepting = acceptingViews(factsOf(content));
    expect(namesOf(accepting)).toEqual(["bytes"]);
    expect(namesOf(offeredViews(accepting))).toEqual(["text", "bytes"]);
  }
});

test("an SVG is an image first, then text; a text that only begins like an SVG is a text", () => {
  expect(namesOf(acceptingViews(factsOf(SVG)))).toEqual(["image", "text", "bytes"]);
  expect(namesOf(acceptingViews(factsOf(utf8("<svgx>"))))).toEqual(["text", "bytes"]);
});

test("an image of more than 32 MiB is shown as bytes", () => {
  const facts = { ...factsOf(PNG_SIGNATURE), size: 32 * 1024 * 1024 + 1 };
  expect(namesOf(acceptingViews(facts))).toEqual(["bytes"]);
  expect(namesOf(acceptingViews({ ...facts, size: facts.size - 1 }))).toEqual(["image", "bytes"]);
});
