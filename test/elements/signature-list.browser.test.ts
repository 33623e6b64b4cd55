import { render } from "lit";
import { expect, test } from "vitest";
import { signatureList } from "../../src/elements/signature-list.ts";
import type { SignatureReport } from "../../src/store/signature-report.ts";
import { textOf } from "./page.browser.ts";

function show(signatures: readonly string[], report?: SignatureReport): HTMLElement {
  const page = document.createElement("div");
  render(signatureList(signatures, report, "heading"), page);
  return page;
}

const items = (page: HTMLElement): string[] => [...page.querySelectorAll("li")].map(textOf);

function reportOf(...states: SignatureReport["signatures"][number]["state"][]): SignatureReport {
  return { signatures: states.map((state) => ({ keyName: "k", state, signature: "k:s" })), contentAddressed: false };
}

test("a path without signatures has none", () => {
  expect(textOf(show([]))).toBe("none");
});

test("shows the names of the keys at once, and their states after the check", () => {
  const signatures = ["a-1:AA==", "b-1:AA==", "c-1:AA=="];
  expect(items(show(signatures))).toEqual(["a-1", "b-1", "c-1"]);
  const checked = show(signatures, reportOf("verified", "unknown", "wrong"));
  expect(items(checked)).toEqual([
    "a-1 ✓ verified",
    "b-1 key not known",
    "c-1 wrong: the key of this name that you trust did not make it",
  ]);
  expect([...checked.querySelectorAll("span")].map(({ className }) => className)).toEqual(["good", "dim", "bad"]);
  expect(checked.querySelector("ul")?.getAttribute("aria-labelledby")).toBe("heading");
});

test("shows nothing of the signature itself, and escapes the name of its key", () => {
  const page = show(["k\u202e1:<img>", "no colon"]);
  expect(items(page)).toEqual(["k\\u{202e}1", ""]);
  expect(page.querySelector("img")).toBeNull();
});
