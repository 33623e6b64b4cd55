/** The dedicated worker in a page. */

import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { spawnHashWorker } from "../../../src/worker/spawn-hash-worker.ts";
import type { Message, Options } from "../bench.ts";
import { runCases } from "./cases.ts";

declare const self: DedicatedWorkerGlobalScope;

const options = JSON.parse(new URLSearchParams(self.location.search).get("options") ?? "{}") as Options;
const report = (message: Message): void => self.postMessage(message);

// A worker of Firefox 153 that has workers of its own stops hearing from them in some runs, and the benchmark then never ends.
const isFirefox = navigator.userAgent.includes("Firefox/");
if (isFirefox) report({ kind: "note", text: "the cases over several workers are left out: its nested workers stop in some runs" });

await runCases(options, report, {
  engine: new InlineHashEngine(),
  spawn: isFirefox ? undefined : () => spawnHashWorker("/hash-worker.js"),
  blake3: () => [],
  sha256: () => [],
});
