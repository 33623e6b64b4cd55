import { expect, test } from "vitest";
import { bytesView } from "../../../src/elements/file-views/bytes.ts";
import { BINARY, factsOf, show } from "./show-view.browser.ts";

test("shows pages, by buttons and by offset, and stays within the file", async () => {
  const bytes = await show(bytesView, factsOf(BINARY));
  const first = (): string | undefined => bytes.content.querySelector(".hex")?.textContent?.slice(0, 8);
  const go = async (label: string): Promise<string | undefined> => {
    bytes.controls.querySelector<HTMLButtonElement>(`[aria-label="${label}"]`)?.click();
    await bytes.settled();
    return first();
  };
  expect(first()).toBe("00000000");
  expect(await go("Later bytes")).toBe("00001000");
  expect(await go("Last bytes")).toBe("00002000");
  expect(bytes.controls.querySelector<HTMLButtonElement>('[aria-label="Later bytes"]')?.disabled).toBe(true);
  expect(await go("Earlier bytes")).toBe("00001000");
  expect(await go("First bytes")).toBe("00000000");
  for (const [typed, offset] of [
    ["0x123", "00000120"],
    ["4100", "00001000"],
    ["1e9", "00002000"],
    ["-5", "00000000"],
    ["x", "00000000"],
  ] as const) {
    const input = bytes.controls.querySelector("input");
    if (!input) throw new Error("no field for the offset");
    input.value = typed;
    input.dispatchEvent(new Event("change"));
    await bytes.settled();
    expect(first()).toBe(offset);
  }
});

test("a file of one page needs no controls", async () => {
  const { controls } = await show(bytesView, factsOf(BINARY.slice(0, 4096)));
  expect(controls.childElementCount).toBe(0);
});
