/** The thread in Node, which also compares native programs. */

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parentPort, workerData } from "node:worker_threads";
import { NodeHashEngine } from "../../../src/node/node-hash-engine.ts";
import type { Message, Options } from "../bench.ts";
import { runCases } from "./cases.ts";
import { b3sum, b3sumVersion } from "./native.ts";

const report = (message: Message): void => parentPort?.postMessage(message);
const version = b3sumVersion();
report({ kind: "note", text: version ? `native is ${version}, one thread` : "no native contender: b3sum is not installed" });
const dir = mkdtempSync(join(tmpdir(), "tvix-store-web-bench-"));
try {
  await runCases(workerData as Options, report, {
    engine: new NodeHashEngine(),
    spawn: undefined,
    blake3: (bytes) => (version && bytes.length >= 1024 * 1024 ? [b3sum(bytes, dir)] : []),
    sha256: (bytes) => [{ name: "node:crypto", run: () => new Uint8Array(createHash("sha256").update(bytes).digest()) }],
  });
} finally {
  rmSync(dir, { recursive: true, force: true });
}
