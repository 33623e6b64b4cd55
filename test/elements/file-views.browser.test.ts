import { render } from "lit";
import { afterEach, describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { type FileFacts, type FileView, HEAD_LENGTH, type OpenFileView } from "../../src/elements/file-views/file-view.ts";
import { acceptingViews, FILE_VIEWS, offeredViews } from "../../src/elements/file-views/registry.ts";
import "../../src/elements/index.ts";
import { openStore, type Store } from "../../src/index.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { selectorsOf } from "./view-styles.browser.ts";

const PNG_SIGNATURE = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const SVG = utf8('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="4"><rect width="8" height="4"/></svg>');
const BINARY = pseudoRandom(10_000, 1);

async function png(): Promise<Uint8Array> {
  const canvas = document.createElement("canvas");
  canvas.width = 8;
  canvas.height = 4;
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("the canvas gave no image");
  return new Uint8Array(await blob.arrayBuffer());
}

function factsOf(content: Uint8Array): FileFacts {
  const bytes = new Uint8Array(content);
  return {
    storePath: "/nix/store/jn8hsc1hh5smdznh7w69bcjlg3s7c5ki-case",
    path: utf8("dir/file"),
    name: utf8("file"),
    size: bytes.length,
    head: bytes.slice(0, HEAD_LENGTH),
    read: async (start, end) => bytes.slice(start, end),
  };
}

interface Shown {
  readonly open: OpenFileView;
  readonly content: HTMLElement;
  readonly controls: HTMLElement;
  gaveUp: boolean;
  /** Resolves once the reads that have started are shown. */
  settled(): Promise<void>;
}

const shown: Shown[] = [];
afterEach(() => {
  for (const { open, content } of shown.splice(0)) {
    open.close?.();
    content.remove();
  }
});

/** Shows a file in a view, as the preview does. */
async function show(view: FileView, facts: FileFacts): Promise<Shown> {
  const content = document.body.appendChild(document.createElement("div"));
  const controls = document.createElement("div");
  let reading = Promise.resolve();
  const open = view.open(facts, {
    load(load) {
      reading = Promise.all([reading, load()]).then(() => {});
    },
    giveUp() {
      result.gaveUp = true;
    },
  });
  const result: Shown = {
    open,
    content,
    controls,
    gaveUp: false,
    async settled() {
      await reading;
      render(open.content(), content);
      render(open.controls?.(), controls);
    },
  };
  shown.push(result);
  await result.settled();
  return result;
}

function viewNamed(name: string): FileView {
  const view = FILE_VIEWS.find((candidate) => candidate.name === name);
  if (!view) throw new Error(`no view ${name}`);
  return view;
}

const namesOf = (views: readonly FileView[]): string[] => views.map(({ name }) => name);

/** A sample of each view, and a part of what the view renders. */
const SAMPLES: Readonly<Record<string, { content: () => Promise<Uint8Array>; selector: string }>> = {
  image: { content: png, selector: 'img[alt="file"][src^="blob:"]' },
  text: { content: async () => utf8("one\ntwo\n"), selector: "pre.content" },
  bytes: { content: async () => BINARY, selector: "pre.hex" },
};

describe("the registry of file views", () => {
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
    const { content } = await show(viewNamed(name), facts);
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
});

describe("image", () => {
  test("an SVG has a `data:` address, which belongs to no site", async () => {
    const { content } = await show(viewNamed("image"), factsOf(SVG));
    const image = content.querySelector("img");
    expect(image?.src).toMatch(/^data:image\/svg\+xml;base64,/);
    await image?.decode();
    expect(image?.naturalWidth).toBe(8);
  });

  test("gives up on an image that the browser can't decode", async () => {
    const image = await show(viewNamed("image"), factsOf(concatBytes([PNG_SIGNATURE, BINARY])));
    await expect.poll(() => image.gaveUp).toBe(true);
  });

  test("releases the memory of the image when it is closed", async () => {
    const { open, content } = await show(viewNamed("image"), factsOf(await png()));
    const src = content.querySelector("img")?.src ?? "";
    await expect(fetch(src).then(({ ok }) => ok)).resolves.toBe(true);
    open.close?.();
    await expect(fetch(src)).rejects.toThrow(TypeError);
  });
});

describe("text", () => {
  test("numbers the lines and tells the encoding", async () => {
    const { content, controls } = await show(viewNamed("text"), factsOf(utf8("one\ntwo\n\nfour\n")));
    expect(content.querySelector(".numbers")?.textContent).toBe("1\n2\n3\n4");
    expect(content.querySelector(".content")?.textContent).toBe("one\ntwo\n\nfour\n");
    expect(controls.textContent).toContain("UTF-8");
    expect(controls.querySelector("button, .bad")).toBeNull();
  });

  test("warns of characters that change the direction of the text", async () => {
    const { controls } = await show(viewNamed("text"), factsOf(utf8("access \u202edenied")));
    expect(controls.querySelector(".bad")).not.toBeNull();
  });

  test("shows more of a long text in steps, up to the end", async () => {
    const text = await show(viewNamed("text"), factsOf(utf8("0123456789abcde\n".repeat(40_000))));
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
    const facts = factsOf(utf8("x".repeat(8 * 1024 * 1024 + 1)));
    const text = await show(viewNamed("text"), facts);
    for (let more = text.controls.querySelector("button"); more; more = text.controls.querySelector("button")) {
      more.click();
      await text.settled();
    }
    expect(text.content.querySelector(".content")?.textContent?.length).toBe(8 * 1024 * 1024);
  });

  test("shows a binary file that the reader wants as text, with replacement characters", async () => {
    const { content, controls } = await show(viewNamed("text"), factsOf(new Uint8Array([0x41, 0x00, 0xff, 0x1b, 0x0a])));
    expect(content.querySelector(".content")?.textContent).toBe("A\ufffd\ufffd\ufffd\n");
    expect(controls.textContent).toContain("Not text");
  });
});

describe("bytes", () => {
  test("shows pages, by buttons and by offset, and stays within the file", async () => {
    const bytes = await show(viewNamed("bytes"), factsOf(BINARY));
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
    const { controls } = await show(viewNamed("bytes"), factsOf(BINARY.slice(0, 4096)));
    expect(controls.childElementCount).toBe(0);
  });
});

describe("tvix-file-preview", () => {
  let store: Store | undefined;
  afterEach(async () => {
    document.querySelector("tvix-file-preview")?.remove();
    await store?.close();
  });

  async function preview(content: Uint8Array): Promise<ShadowRoot> {
    store = await openStore(crypto.randomUUID(), { workers: 1 });
    const { storePath } = await store.importFile(new Blob([new Uint8Array(content)]), { name: "file" });
    const element = document.createElement("tvix-file-preview");
    Object.assign(element, { store, storePath });
    document.body.append(element);
    await expect.poll(() => element.shadowRoot?.querySelector(".body")?.textContent).not.toMatch(/Reading|^$/);
    if (!element.shadowRoot) throw new Error("no shadow root");
    return element.shadowRoot;
  }

  const button = (root: ShadowRoot, label: string): HTMLButtonElement | undefined =>
    [...root.querySelectorAll<HTMLButtonElement>('[aria-label="Show as"] button')].find((one) => one.textContent?.trim() === label);
  const pressed = (root: ShadowRoot): string | undefined =>
    root.querySelector('[aria-label="Show as"] [aria-pressed="true"]')?.textContent?.trim();

  test("shows an unknown file as bytes; a view that the reader leaves keeps its state", async () => {
    const root = await preview(BINARY);
    expect(pressed(root)).toBe("Hex");
    root.querySelector<HTMLButtonElement>('[aria-label="Later bytes"]')?.click();
    await expect.poll(() => root.querySelector(".view-bytes .hex")?.textContent).toMatch(/^00001000/);
    button(root, "Text")?.click();
    await expect.poll(() => root.querySelector(".view-text .content")).not.toBeNull();
    button(root, "Hex")?.click();
    await expect.poll(() => root.querySelector(".view-bytes .hex")?.textContent).toMatch(/^00001000/);
    expect(button(root, "Image")).toBeUndefined();
  });

  test("shows an image that the browser can't decode in the next view", async () => {
    const root = await preview(concatBytes([PNG_SIGNATURE, BINARY]));
    await expect.poll(() => pressed(root)).toBe("Hex");
    await expect.poll(() => root.querySelector(".hex")?.textContent).toContain(".PNG");
    expect(button(root, "Image")).toBeDefined();
  });

  test("says of an empty file that it is empty", async () => {
    const root = await preview(new Uint8Array(0));
    expect(root.querySelector(".body")?.textContent).toBe("This file is empty.");
    expect(root.querySelector(".foot")?.childElementCount).toBe(0);
  });
});
