/** The dedicated worker in a page. */

import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { spawnHashWorker } from "../../../src/worker/spawn-hash-worker.ts";
import type { Message, Options } from "../bench.ts";
import { runCases } from "./cases.ts";

declare const self: DedicatedWorkerGlobalScope;

const options = JSON.parse(new URLSearchParams(self.location.search).get("options") ?? "{}") as Options;
const report = (message: Message): void => self.postMessage(message);

await runCases(options, report, {
  engine: new InlineHashEngine(),
  spawn: () => spawnHashWorker("/hash-worker.js"),
  blake3: () => [],
  sha256: () => [],
});
