import { html, LitElement, type TemplateResult } from "lit";
import { afterEach, beforeAll, expect, test } from "vitest";
import { DaemonForm } from "../../src/elements/daemon-form.ts";
import { recallDaemon, rememberDaemon } from "../../src/elements/remembered-daemon.ts";
import { type PathInfo, type Remote, type Store, StoreError } from "../../src/index.ts";
import { each, failing, fakeStore, held, pathInfo, untilAborted } from "./fake-store.browser.ts";
import { addElement, choose, click, count, find, textOf, type } from "./page.browser.ts";

class FormHost extends LitElement {
  static override properties = { store: { attribute: false } };
  declare store: Store | undefined;
  asked = 0;
  readonly form = new DaemonForm(this, () => {
    this.asked += 1;
  });

  override render(): TemplateResult {
    return html`${this.form.render(this.form.asks || !this.store)}`;
  }
}

beforeAll(() => customElements.define("daemon-form-host", FormHost));
afterEach(() => localStorage.clear());

interface Shown {
  readonly host: FormHost;
  readonly root: ShadowRoot;
  readonly address: HTMLInputElement;
  readonly protocol: HTMLSelectElement;
}

async function show(list?: (remote: Remote, signal: AbortSignal | undefined) => AsyncGenerator<PathInfo>): Promise<Shown> {
  const store = list && fakeStore({ remotePathInfos: (remote, { signal } = {}) => list(remote, signal) });
  const host = addElement(Object.assign(new FormHost(), { store }));
  host.form.suggest("http://localhost:8000");
  await host.updateComplete;
  const root = host.renderRoot as ShadowRoot;
  return {
    host,
    root,
    address: find<HTMLInputElement>(root, "[name=address]"),
    protocol: find<HTMLSelectElement>(root, "[name=protocol]"),
  };
}

const INFOS = ["a", "b"].map((name) => pathInfo(name));
const status = (root: ShadowRoot): string => textOf(root.querySelector('[role="status"]'));

test("starts with the suggested daemon, or with the one that the reader used last", async () => {
  const first = await show();
  expect([first.address.value, first.protocol.value]).toEqual(["http://localhost:8000", "connect"]);
  rememberDaemon("http://used:1", "grpc-web");
  const second = await show();
  expect([second.address.value, second.protocol.value]).toEqual(["http://used:1", "grpc-web"]);
});

test("a suggestion does not replace what the reader typed", async () => {
  const { host, address } = await show();
  type(address, "http://typed:1");
  host.form.suggest("http://other:2");
  await host.updateComplete;
  expect(address.value).toBe("http://typed:1");
});

test("the fields are in labels that name them", async () => {
  const { address, protocol } = await show();
  const names = [address, protocol].map((field) => textOf(field.closest("label")?.firstChild));
  expect(names).toEqual(["Address of the daemon", "Protocol"]);
});

test("lists the paths of the daemon, tells their number, and remembers the daemon", async () => {
  const asked: string[] = [];
  const { host, root, address, protocol } = await show((remote) => {
    asked.push(`${remote.protocol} ${remote.url}`);
    return each(INFOS);
  });
  expect(host.form.paths).toBeUndefined();
  type(address, "http://typed:1/");
  choose(protocol, "grpc-web");
  await host.updateComplete;
  click(root, "List paths");
  await expect.poll(() => status(root)).toBe("The daemon has 2 paths.");
  expect([asked, host.form.paths, host.asked]).toEqual([["grpc-web http://typed:1"], INFOS, 1]);
  expect(recallDaemon()).toEqual({ address: "http://typed:1/", protocol: "grpc-web" });
});

test("shows a long list in parts while it arrives, and counts it", async () => {
  const rest = held<void>();
  const many = Array.from({ length: 1001 }, (_, i) => pathInfo(`p${i}`));
  const { host, root } = await show(async function* () {
    yield* many.slice(0, 1000);
    await rest.promise;
    yield* many.slice(1000);
  });
  click(root, "List paths");
  await expect.poll(() => textOf(root.querySelector(".running"))).toBe(`Asking the daemon paths ${count(1000)} Cancel`);
  expect([host.form.paths?.length, host.form.asks]).toEqual([1000, true]);
  rest.resolve();
  await expect.poll(() => host.form.paths?.length).toBe(1001);
  await expect.poll(() => host.form.asks).toBe(false);
});

test("after a cancellation, the paths that arrived stay", async () => {
  const { host, root } = await show(async function* (_, signal) {
    yield* Array.from({ length: 500 }, (_, i) => pathInfo(`p${i}`));
    await untilAborted({ signal });
  });
  click(root, "List paths");
  await expect.poll(() => host.form.paths?.length).toBe(500);
  click(root, "Cancel");
  await expect.poll(() => status(root)).toMatch(/^Cancelled. The list shows the paths that arrived/);
  expect([host.form.paths?.length, recallDaemon()]).toEqual([500, undefined]);
});

test("tells why the daemon can't be asked, and remembers no such daemon", async () => {
  const { root } = await show(() => failing(new StoreError("unavailable", "http://localhost:8000 can't be reached")));
  click(root, "List paths");
  await expect.poll(() => textOf(root.querySelector('[role="alert"]'))).toBe("http://localhost:8000 can't be reached.");
  expect(recallDaemon()).toBeUndefined();
});

test("`remote` is the daemon of the form, which is remembered; an address of another kind is refused", async () => {
  const { host, address } = await show();
  expect(host.form.remote()).toMatchObject({ url: "http://localhost:8000", protocol: "connect" });
  expect(recallDaemon()?.address).toBe("http://localhost:8000");
  type(address, "file:///etc/passwd");
  expect(() => host.form.remote()).toThrow(expect.objectContaining({ code: "invalid" }));
  expect(recallDaemon()?.address).toBe("http://localhost:8000");
});

test("another address clears the list, and ends the listing of the earlier daemon", async () => {
  let signal: AbortSignal | undefined;
  const { host, root, address } = await show(async function* (_, given) {
    signal = given;
    yield* Array.from({ length: 500 }, (_, i) => pathInfo(`p${i}`));
    await untilAborted({ signal: given });
  });
  click(root, "List paths");
  await expect.poll(() => host.form.paths?.length).toBe(500);
  type(address, "http://other:1");
  await expect.poll(() => host.form.asks).toBe(false);
  expect([signal?.aborted, host.form.paths, recallDaemon()]).toEqual([true, undefined, undefined]);
});
