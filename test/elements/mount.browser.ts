import "../../src/elements/index.ts";
import { addElement } from "./page.browser.ts";

/** The tags of this package's elements. */
type Tag = { [K in keyof HTMLElementTagNameMap]: K extends `tvix-${string}` ? K : never }[keyof HTMLElementTagNameMap];

export interface Mounted<E> {
  readonly element: E;
  readonly root: ShadowRoot;
}

/**
 * Puts an element into the page until the end of the test, 600 by 400 pixels large, and waits for
 * its first rendering.
 */
export async function mount<T extends Tag>(
  tag: T,
  properties: Partial<HTMLElementTagNameMap[T]> = {},
): Promise<Mounted<HTMLElementTagNameMap[T]>> {
  const element = Object.assign(document.createElement(tag), properties);
  element.style.cssText = "width: 600px; height: 400px";
  addElement(element);
  await element.updateComplete;
  return { element, root: element.renderRoot as ShadowRoot };
}
