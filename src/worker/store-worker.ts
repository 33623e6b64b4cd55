/** Script of the store worker: owns the storage, and does all heavy work for the page. */

import { expose } from "comlink";
import { handleThrownErrors } from "../thread/thrown-errors.ts";
import { FLUSHER_NAME, serveFlushes } from "./flusher.ts";
import { holdLifeLock } from "./store-locks.ts";
import { StoreServer } from "./store-server.ts";

declare const self: DedicatedWorkerGlobalScope;

if (self.name === FLUSHER_NAME) {
  serveFlushes(self);
} else {
  handleThrownErrors();
  expose(new StoreServer());
  // Messages that arrive before this line runs are lost, so the page waits for this message.
  self.postMessage({ lock: await holdLifeLock() });
}
