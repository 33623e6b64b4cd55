import { afterEach, describe, expect, test, vi } from "vitest";
import { keepOffline, type OfflineState } from "../../src/browser/offline.ts";

afterEach(() => void vi.unstubAllGlobals());

class Registration extends EventTarget {
  waiting: { postMessage(message: unknown): void } | null = null;
  installing: EventTarget | null = null;
}

/** A browser with service workers, and a page that registers one. */
class Browser {
  readonly registration = new Registration();
  readonly container = Object.assign(new EventTarget(), {
    controller: null as object | null,
    ready: new Promise<void>((resolve) => {
      this.becomeReady = resolve;
    }),
    register: vi.fn(async () => this.registration),
  });
  readonly reload = vi.fn();
  readonly posted: unknown[] = [];
  readonly states: OfflineState[] = [];
  declare becomeReady: () => void;

  constructor() {
    vi.stubGlobal("navigator", { serviceWorker: this.container });
    vi.stubGlobal("location", { reload: this.reload });
  }

  keep(): ReturnType<typeof keepOffline> {
    return keepOffline("/worker.js", (state) => this.states.push(state));
  }

  /** A newer version has been fetched, and waits. */
  newVersion(): void {
    this.registration.waiting = { postMessage: (message) => this.posted.push(message) };
  }

  settle(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve));
  }
}

test("the first version is ready when its files are kept; it replaces none, so there is no update", async () => {
  const browser = new Browser();
  browser.keep();
  await browser.settle();
  expect(browser.container.register).toHaveBeenCalledWith("/worker.js", { updateViaCache: "none" });
  expect(browser.states).toEqual([]);
  browser.newVersion();
  browser.becomeReady();
  await browser.settle();
  expect(browser.states).toEqual(["ready"]);
});

describe("a newer version", () => {
  test("that waits already is offered", async () => {
    const browser = new Browser();
    browser.container.controller = {};
    browser.newVersion();
    browser.keep();
    browser.becomeReady();
    await browser.settle();
    expect(browser.states).toEqual(["update", "update"]);
  });

  test("that arrives later is offered once it is installed", async () => {
    const browser = new Browser();
    browser.container.controller = {};
    browser.keep();
    browser.becomeReady();
    await browser.settle();
    expect(browser.states).toEqual(["ready"]);
    const installing = new EventTarget();
    browser.registration.installing = installing;
    browser.registration.dispatchEvent(new Event("updatefound"));
    installing.dispatchEvent(new Event("statechange"));
    expect(browser.states).toEqual(["ready"]);
    browser.newVersion();
    installing.dispatchEvent(new Event("statechange"));
    expect(browser.states).toEqual(["ready", "update"]);
  });

  test("takes over when the user wants it; then the page is loaded again, once", async () => {
    const browser = new Browser();
    browser.container.controller = {};
    const shell = browser.keep();
    await browser.settle();
    shell.update();
    expect(browser.posted).toEqual([]);
    browser.newVersion();
    browser.registration.installing = new EventTarget();
    browser.registration.dispatchEvent(new Event("updatefound"));
    browser.registration.installing.dispatchEvent(new Event("statechange"));
    shell.update();
    expect(browser.posted).toEqual(["activate"]);
    expect(browser.reload).not.toHaveBeenCalled();
    for (let i = 0; i < 2; i++) browser.container.dispatchEvent(new Event("controllerchange"));
    expect(browser.reload).toHaveBeenCalledOnce();
  });
});

test("a browser that forbids service workers can't keep the files", async () => {
  const browser = new Browser();
  browser.container.register.mockRejectedValueOnce(new DOMException("no", "SecurityError"));
  browser.keep();
  await browser.settle();
  expect(browser.states).toEqual(["no"]);
});

test("a browser without service workers reports nothing, and an update does nothing", async () => {
  const browser = new Browser();
  vi.stubGlobal("navigator", {});
  browser.keep().update();
  await browser.settle();
  expect([browser.states, browser.reload.mock.calls]).toEqual([[], []]);
});
