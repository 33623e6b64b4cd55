import { expect, test } from "vitest";
import { concatBytes } from "../../../src/bytes.ts";
import { imageView } from "../../../src/elements/file-views/image.ts";
import { BINARY, factsOf, PNG_SIGNATURE, png, SVG, show } from "./show-view.browser.ts";

test("an SVG has a `data:` address, which belongs to no site", async () => {
  const { content } = await show(imageView, factsOf(SVG));
  const image = content.querySelector("img");
  expect(image?.src).toMatch(/^data:image\/svg\+xml;base64,/);
  await image?.decode();
  expect(image?.naturalWidth).toBe(8);
});

test("gives up on an image that the browser can't decode", async () => {
  const image = await show(imageView, factsOf(concatBytes([PNG_SIGNATURE, BINARY])));
  await expect.poll(() => image.gaveUp).toBe(true);
});

test("releases the memory of the image when it is closed", async () => {
  const { open, content } = await show(imageView, factsOf(await png()));
  const src = content.querySelector("img")?.src ?? "";
  await expect(fetch(src).then(({ ok }) => ok)).resolves.toBe(true);
  open.close?.();
  await expect(fetch(src)).rejects.toThrow(TypeError);
});
