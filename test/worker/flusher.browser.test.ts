import { afterEach, describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { Flusher } from "../../src/worker/flusher.ts";
import { hasOpfs } from "../conformance/packed-backend.browser.ts";

const OPFS = await hasOpfs();
const OriginalWorker = globalThis.Worker;
afterEach(() => {
  globalThis.Worker = OriginalWorker;
});

interface FakeWorker {
  onmessage: ((event: MessageEvent) => void) | null;
  onerror: ((event: Event) => void) | null;
  readonly asked: { id: number }[];
  isTerminated: boolean;
}

/** Replaces workers by fakes that do nothing on their own. Returns the list of started fakes. */
function fakeWorkers(): FakeWorker[] {
  const started: FakeWorker[] = [];
  class Fake implements FakeWorker {
    onmessage: FakeWorker["onmessage"] = null;
    onerror: FakeWorker["onerror"] = null;
    readonly asked: { id: number }[] = [];
    isTerminated = false;
    constructor() {
      started.push(this);
    }
    postMessage(message: { id: number }): void {
      this.asked.push(message);
    }
    terminate(): void {
      this.isTerminated = true;
    }
  }
  globalThis.Worker = Fake as unknown as typeof Worker;
  return started;
}

/** A placeholder. The fakes don't use it. */
const FILE = {} as FileSystemFileHandle;

function say(worker: FakeWorker | undefined, data: unknown): void {
  worker?.onmessage?.(new MessageEvent("message", { data }));
}

function fail(worker: FakeWorker | undefined): void {
  worker?.onerror?.(new Event("error", { cancelable: true }));
}

/** Returns the state of a promise after everything that can run has run. */
async function state(promise: Promise<unknown>): Promise<unknown> {
  const waits = new Promise((resolve) => setTimeout(resolve, 50, "waits"));
  const outcome = promise.then(
    () => "done",
    (error: unknown) => (error instanceof StoreError ? error.code : error),
  );
  return Promise.race([outcome, waits]);
}

describe("a flush rejects when the flusher is closed", () => {
  test("while its worker starts", async () => {
    const workers = fakeWorkers();
    const flusher = new Flusher();
    const flushing = flusher.flush(FILE);
    expect(await state(flushing)).toBe("waits");
    flusher.close();
    expect(await state(flushing)).toBe("closed");
    expect(workers[0]?.isTerminated).toBe(true);
  });

  test("at the moment when its worker is ready", async () => {
    const workers = fakeWorkers();
    const flusher = new Flusher();
    const flushing = flusher.flush(FILE);
    say(workers[0], "ready");
    flusher.close();
    expect(await state(flushing)).toBe("closed");
  });

  test("while its worker flushes, and the next flush starts another worker", async () => {
    const workers = fakeWorkers();
    const flusher = new Flusher();
    const flushing = flusher.flush(FILE);
    say(workers[0], "ready");
    expect(await state(flushing)).toBe("waits");
    expect(workers[0]?.asked).toHaveLength(1);
    flusher.close();
    expect(await state(flushing)).toBe("closed");

    const again = flusher.flush(FILE);
    say(workers[1], "ready");
    expect(await state(again)).toBe("waits");
    say(workers[1], { id: workers[1]?.asked[0]?.id });
    expect(await state(again)).toBe("done");
  });
});

test("a worker that fails rejects its flushes, and is replaced", async () => {
  const workers = fakeWorkers();
  const flusher = new Flusher();
  const flushing = flusher.flush(FILE);
  say(workers[0], "ready");
  expect(await state(flushing)).toBe("waits");
  fail(workers[0]);
  expect(await state(flushing)).toBe("unavailable");
  const again = flusher.flush(FILE);
  say(workers[1], "ready");
  expect(await state(again)).toBe("waits");
  say(workers[1], { id: workers[1]?.asked[0]?.id });
  expect(await state(again)).toBe("done");
  flusher.close();
});

test("if no worker starts, this thread flushes itself, and starts no second worker", async () => {
  const workers = fakeWorkers();
  const flusher = new Flusher();
  for (const _ of [1, 2]) {
    const flushing = flusher.flush(FILE);
    fail(workers[0]);
    // A page has no synchronous access to files, so the flush fails here.
    expect(await state(flushing)).toBe("unavailable");
  }
  expect(workers).toHaveLength(1);
});

test.skipIf(!OPFS)("a pack that is opened again while its first opening fails can still be deleted (OPFS)", async () => {
  const worker = new OriginalWorker(new URL("./reopened-pack.browser.ts", import.meta.url), { type: "module" });
  try {
    const answer = await new Promise((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (event) => reject(new Error(event.message));
    });
    expect(answer).toEqual({ first: "NotFoundError", isDeleted: true });
  } finally {
    worker.terminate();
  }
});
