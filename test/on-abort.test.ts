import { afterEach, beforeEach, expect, test } from "vitest";
import { createMemoryStore } from "../src/backends/memory.ts";
import { connectRemoteStore } from "../src/backends/remote.ts";
import { utf8 } from "../src/bytes.ts";
import { connectGrpc } from "../src/node/grpc.ts";
import { rpcRoutes } from "../src/node/rpc/routes.ts";
import { startServer } from "../src/node/server.ts";
import { onAbort } from "../src/on-abort.ts";
import { calculateNar } from "../src/store/nar.ts";
import { copyBetweenStores } from "../src/store/sync.ts";
import { engine, importFiles } from "./store/fixtures.ts";

let warnings: Error[] = [];
const onWarning = (warning: Error): void => void warnings.push(warning);
beforeEach(() => {
  warnings = [];
  process.on("warning", onWarning);
});
afterEach(() => {
  process.off("warning", onWarning);
});

/**
 * Returns the leak warnings so far. Node emits warnings in a later task, so this function waits 20
 * ms.
 */
async function leaks(): Promise<Error[]> {
  await new Promise((resolve) => setTimeout(resolve, 20));
  return warnings.filter(({ name }) => name === "MaxListenersExceededWarning");
}

test("an abort calls each callback once, except for removed callbacks; a later callback is called at once", () => {
  const controller = new AbortController();
  const called: string[] = [];
  const same = (): void => void called.push("same");
  onAbort(controller.signal, same);
  const takeBack = onAbort(controller.signal, same);
  onAbort(controller.signal, () => {
    called.push("last");
    takeLate();
  });
  const takeLate = onAbort(controller.signal, () => called.push("late"));
  takeBack();
  takeBack();
  controller.abort();
  expect(called).toEqual(["same", "last"]);
  onAbort(controller.signal, same);
  expect(called).toEqual(["same", "last", "same"]);
});

test("an abort calls the callbacks of a signal that has listeners of its own, too", () => {
  const controller = new AbortController();
  const called: string[] = [];
  controller.signal.addEventListener("abort", () => called.push("listener"));
  onAbort(controller.signal, () => called.push("callback"));
  controller.signal.addEventListener("abort", () => called.push("last"));
  controller.abort();
  expect(called).toEqual(["listener", "callback", "last"]);
});

test("a signal has no listener while it has no callbacks", () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = AbortSignal.prototype;
  signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
    listeners++;
    addEventListener.apply(signal, args);
  };
  signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
    listeners--;
    removeEventListener.apply(signal, args);
  };
  for (let round = 0; round < 2; round++) {
    const backs = Array.from({ length: 20 }, () => onAbort(signal, () => {}));
    expect(listeners).toBe(1);
    for (const back of backs) back();
    expect(listeners).toBe(0);
  }
});

test("copies to and from a daemon that share one signal cause no leak warning in Node", async () => {
  const there = createMemoryStore();
  const routes = rpcRoutes(there, { engine, calculateNar: (node, options) => calculateNar(there, engine, node, options) });
  const server = await startServer({ host: "127.0.0.1", port: 0 }, { routes });
  const connection = connectGrpc({ scheme: "grpc+http", url: server.address });
  try {
    const remote = connectRemoteStore(connection.transport, { name: "remote" });
    const here = createMemoryStore();
    const files = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`d${i % 20}/f${i}`, utf8(`content ${i}`)]));
    const large = new Uint8Array(1_200_000).map((_, i) => (i * i) >>> 9);
    const paths: string[] = [];
    for (let i = 0; i < 2; i++)
      paths.push(
        (await importFiles(here, `path-${i}`, { ...files, large: large.subarray(i), [`own-${i}`]: utf8(`${i}`) })).storePath,
      );
    const { signal } = new AbortController();
    await copyBetweenStores(here, remote, paths, { engine, signal });
    await copyBetweenStores(remote, createMemoryStore(), paths, { engine, signal });
    expect(await leaks()).toEqual([]);
  } finally {
    await connection.close();
    await server.close();
  }
});
