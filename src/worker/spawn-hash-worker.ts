import { StoreError } from "../error.ts";
import type { HashWorker } from "../hash/pool-member.ts";
import type { HashReply, HashRequest } from "../hash/pool-protocol.ts";

/**
 * The hash workers of this thread. Firefox (seen in 153) garbage-collects a worker inside a worker,
 * even if it is working, if only its listeners refer to it; callers that wait for its answers don't
 * count. This set refers to the workers for as long as this thread lives.
 */
const running = new Set<Worker>();

/**
 * Starts a hash worker as a child of this worker.
 *
 * @param url its script, if the bundler doesn't find it by itself
 */
export function spawnHashWorker(url: string | undefined): HashWorker {
  const worker = createWorker(url);
  running.add(worker);
  // Messages to send when the worker reports that it listens.
  let held: { message: HashRequest; transfer: ArrayBuffer[] }[] | undefined = [];
  return {
    postMessage(message, transfer) {
      if (held) held.push({ message, transfer });
      else worker.postMessage(message, transfer);
    },
    listen(onReply, onLost) {
      worker.onmessage = ({ data }: MessageEvent<HashReply | "ready">) => {
        if (data !== "ready") {
          onReply(data);
          return;
        }
        for (const { message, transfer } of held ?? []) worker.postMessage(message, transfer);
        held = undefined;
      };
      worker.onerror = (event) => {
        event.preventDefault();
        onLost(new StoreError("unavailable", `a hash worker failed: ${event.message || "its script could not be loaded"}`));
      };
    },
    terminate() {
      worker.terminate();
      running.delete(worker);
    },
  };
}

/** Creates the worker in the literal form that bundlers look for. */
function createWorker(url: string | undefined): Worker {
  const name = "tvix-store-web hash";
  if (url !== undefined) return new Worker(url, { type: "module", name });
  return new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module", name });
}
