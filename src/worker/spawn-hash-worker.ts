import { StoreError } from "../error.ts";
import type { HashWorker } from "../hash/pool-member.ts";
import type { HashReply, HashRequest } from "../hash/pool-protocol.ts";

/**
 * Firefox collects a worker's own worker, though it is at work, when nothing but its listeners refers to it (seen in 153); what waits
 * for its answers doesn't count. What is in here is referred to for as long as this thread lives.
 */
const running = new Set<Worker>();

/** Starts a hash worker below this one. @param url its script, where the bundler doesn't find it by itself */
export function spawnHashWorker(url: string | undefined): HashWorker {
  const worker = createWorker(url);
  running.add(worker);
  // Until the worker says that it listens.
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

/** The literal form is what bundlers look for. */
function createWorker(url: string | undefined): Worker {
  const name = "tvix-store-web hash";
  if (url !== undefined) return new Worker(url, { type: "module", name });
  return new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module", name });
}
