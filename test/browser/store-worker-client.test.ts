import { type Endpoint, expose } from "comlink";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { watchCleared } from "../../src/browser/cleared-storage.ts";
import { StoreWorker } from "../../src/browser/store-worker-client.ts";
import { watchLife } from "../../src/browser/worker-life.ts";
import { StoreError } from "../../src/error.ts";

vi.mock("../../src/browser/worker-life.ts", () => ({ watchLife: vi.fn() }));
vi.mock("../../src/browser/cleared-storage.ts", () => ({ watchCleared: vi.fn() }));

/** Watches that have ended. */
let ended: string[];

beforeEach(() => {
  ended = [];
  vi.mocked(watchLife).mockReset();
  vi.mocked(watchLife).mockReturnValue(() => void ended.push("life"));
  vi.mocked(watchCleared).mockReset();
  vi.mocked(watchCleared).mockReturnValue(() => void ended.push("storage"));
});
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A worker whose script runs in this thread. */
class FakeWorker extends EventTarget {
  isTerminated = false;
  readonly #channel = new MessageChannel();

  constructor(api: object = {}) {
    super();
    expose(api, this.#channel.port2 as Endpoint);
    this.#channel.port1.onmessage = ({ data }) => this.dispatchEvent(new MessageEvent("message", { data }));
  }

  postMessage(message: unknown, transfer: MessagePort[] = []): void {
    this.#channel.port1.postMessage(message, transfer);
  }

  terminate(): void {
    this.isTerminated = true;
    this.#channel.port1.close();
  }

  /** The first message of the script. */
  listens(lock?: unknown): void {
    this.dispatchEvent(new MessageEvent("message", { data: { lock } }));
  }

  fails(message: string): Event {
    const event = Object.assign(new Event("error", { cancelable: true }), { message });
    this.dispatchEvent(event);
    return event;
  }
}

function start(worker: FakeWorker, signal?: AbortSignal): Promise<StoreWorker> {
  return StoreWorker.start(worker as unknown as Worker, signal);
}

async function started(api?: object, lock: unknown = "the lock"): Promise<{ worker: FakeWorker; client: StoreWorker }> {
  const worker = new FakeWorker(api);
  const starting = start(worker);
  worker.listens(lock);
  return { worker, client: await starting };
}

describe("a worker", () => {
  test("is started when it listens; from then on its life is watched", async () => {
    vi.useFakeTimers();
    const { worker, client } = await started({ ping: () => "pong" });
    expect(vi.getTimerCount()).toBe(0);
    vi.useRealTimers();
    const [lock, ping, onDeath] = vi.mocked(watchLife).mock.calls[0] ?? [];
    expect(lock).toBe("the lock");
    expect(await ping?.()).toBe("pong");
    expect(client.lost.aborted).toBe(false);
    onDeath?.();
    expect(client.lost.reason).toMatchObject({ code: "unavailable" });
    client.terminate();
    expect([worker.isTerminated, ended]).toEqual([true, ["life"]]);
    // The first reason stays.
    expect(client.lost.reason).toMatchObject({ code: "unavailable" });
  });

  test.each([null, ""])("without a lock (%j) has an empty name for it", async (lock) => {
    const { client } = await started({}, lock);
    expect(vi.mocked(watchLife).mock.calls[0]?.[0]).toBe("");
    client.terminate();
  });

  test.each([
    ["SyntaxError: no", "SyntaxError: no"],
    ["", "could not be loaded"],
  ])("that fails with %j before it listens is unavailable, and terminated", async (message, expected) => {
    const worker = new FakeWorker();
    const starting = start(worker);
    // The page has handled the error, so the browser need not report it.
    expect(worker.fails(message).defaultPrevented).toBe(true);
    await expect(starting).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining(expected) });
    expect(worker.isTerminated).toBe(true);
    expect(watchLife).not.toHaveBeenCalled();
  });

  test("that does not listen within 30 seconds is unavailable, and terminated", async () => {
    vi.useFakeTimers();
    const worker = new FakeWorker();
    const starting = expect(start(worker)).rejects.toMatchObject({ code: "unavailable" });
    await vi.advanceTimersByTimeAsync(29_999);
    expect(worker.isTerminated).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await starting;
    expect(worker.isTerminated).toBe(true);
  });

  test("is terminated when its start is aborted", async () => {
    const worker = new FakeWorker();
    const controller = new AbortController();
    const starting = start(worker, controller.signal);
    controller.abort("enough");
    await expect(starting).rejects.toBe("enough");
    expect(worker.isTerminated).toBe(true);
  });
});

describe("a call", () => {
  test("gets its answer, or the reason why the worker is lost", async () => {
    const { worker, client } = await started({ ping: () => "pong" });
    expect(await client.call(client.api.ping())).toBe("pong");
    const waiting = client.call(new Promise(() => {}));
    worker.fails("it crashed");
    await expect(waiting).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining("it crashed") });
    await expect(client.call(new Promise(() => {}))).rejects.toBe(client.lost.reason);
    client.terminate();
  });

  test("gets the StoreError of the worker", async () => {
    const { client } = await started({
      ping() {
        throw new StoreError("quota", "full");
      },
    });
    await expect(client.call(client.api.ping())).rejects.toMatchObject({ name: "StoreError", code: "quota" });
    client.terminate();
  });
});

describe("closing", () => {
  test("lets the worker release its storage, and then terminates it", async () => {
    const worker: FakeWorker[] = [];
    const close = vi.fn(async () => {
      expect(worker[0]?.isTerminated).toBe(false);
    });
    const running = await started({ close });
    worker.push(running.worker);
    running.client.watchStorage({ name: "store", storage: "opfs" }, () => {});
    await running.client.close();
    expect(close).toHaveBeenCalledOnce();
    expect(running.worker.isTerminated).toBe(true);
    expect(running.client.lost.reason).toMatchObject({ code: "closed" });
    // The watch of the storage began last, so it ends first.
    expect(ended).toEqual(["storage", "life"]);
  });

  test.each([
    ["fails", () => Promise.reject(new Error("can't close"))],
    ["never answers", () => new Promise(() => {})],
  ])("terminates a worker that %s", async (_, close) => {
    const late = new AbortController();
    const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(late.signal);
    const { worker, client } = await started({ close });
    const closing = client.close();
    late.abort(new DOMException("late", "TimeoutError"));
    await closing;
    expect(timeout).toHaveBeenCalledWith(10_000);
    expect(worker.isTerminated).toBe(true);
    expect(client.lost.reason).toMatchObject({ code: "closed" });
  });

  test("does not ask a worker that is lost", async () => {
    const { worker, client } = await started({ close: () => new Promise(() => {}) });
    const reason = new StoreError("unavailable", "the browser has cleared the files");
    client.end(reason);
    await client.close();
    expect(client.lost.reason).toBe(reason);
    expect(worker.isTerminated).toBe(true);
  });
});

test("the storage of the open store is watched by the same pings", async () => {
  const { client } = await started({ ping: () => "pong" });
  const [store, onCleared] = [{ name: "store", storage: "indexeddb" }, vi.fn()] as const;
  client.watchStorage(store, onCleared);
  const [watched, ping, called] = vi.mocked(watchCleared).mock.calls[0] ?? [];
  expect([watched, called]).toEqual([store, onCleared]);
  expect(await ping?.()).toBe("pong");
  client.terminate();
  expect(ended).toEqual(["storage", "life"]);
});
