import { afterEach } from "vitest";

const added: Element[] = [];
afterEach(() => {
  for (const element of added.splice(0)) element.remove();
});

/** Puts an element into the page until the end of the test. */
export function addElement<E extends HTMLElement>(element: E): E {
  added.push(element);
  document.body.append(element);
  return element;
}

/** Text of a node, with single spaces; empty if the node is missing. */
export function textOf(node: Node | null | undefined): string {
  return node?.textContent?.replace(/\s+/g, " ").trim() ?? "";
}

/** Returns the only element that matches, and fails if there is none or more than one. */
export function find<E extends HTMLElement = HTMLElement>(root: ParentNode, selector: string): E {
  const found = root.querySelectorAll<E>(selector);
  const [element] = found;
  if (!element || found.length > 1) throw new Error(`${found.length} elements match ${selector}`);
  return element;
}

/** Returns the button with this text or this `aria-label`; undefined if there is none. */
export function button(root: ParentNode, name: string): HTMLButtonElement | undefined {
  return [...root.querySelectorAll("button")].find((one) => (one.getAttribute("aria-label") ?? textOf(one)) === name);
}

/** Clicks a button as a reader does: fails if it is missing or disabled. */
export function click(root: ParentNode, name: string): void {
  const target = button(root, name);
  if (!target || target.disabled) throw new Error(`no enabled button “${name}”`);
  target.click();
}

/** Replaces the content of a field, as a reader does who types. */
export function type(field: HTMLInputElement | HTMLTextAreaElement, text: string): void {
  field.value = text;
  field.dispatchEvent(new InputEvent("input", { bubbles: true, composed: true }));
}

/** Chooses an option. */
export function choose(select: HTMLSelectElement, value: string): void {
  select.value = value;
  select.dispatchEvent(new Event("change", { bubbles: true }));
}

/** Presses a key on an element. @returns whether the element used the key */
export function press(element: Element, key: string, modifiers: KeyboardEventInit = {}): boolean {
  return !element.dispatchEvent(
    new KeyboardEvent("keydown", { key, bubbles: true, composed: true, cancelable: true, ...modifiers }),
  );
}

/** Records the details of all events of this type that reach `target`. */
export function record<D>(target: EventTarget, type: string): D[] {
  const details: D[] = [];
  target.addEventListener(type, (event) => details.push((event as CustomEvent<D>).detail));
  return details;
}

/** The number that the page's language has for `value`. */
export function count(value: number): string {
  return value.toLocaleString();
}
