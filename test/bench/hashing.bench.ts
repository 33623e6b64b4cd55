import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { SIMD } from "../../src/hash/kernel/kernel.wasm.ts";
import { OURS, type Outcome, type Requirement, type ScriptedBench } from "./bench.ts";

const FROM_16_KIB = ["blake3 16KiB", "blake3 1MiB", "blake3 16MiB", "blake3 64MiB"];

const requirements: Requirement[] = [
  { case: "blake3 1KiB", against: "hash-wasm", ratio: 1.8 },
  ...FROM_16_KIB.flatMap((name) => [
    { case: name, against: "hash-wasm", ratio: 3.2 },
    { case: name, against: "blake3-jit", ratio: 1.7 },
  ]),
  { case: "blake3 small blobs", against: "hash-wasm", ratio: 3 },
  { case: "blake3 parallel 16MiB", against: OURS, ratio: 1.5 },
  { case: "blake3 parallel 64MiB", against: OURS, ratio: 1.5 },
  { case: "fastcdc", against: "typescript loop, 32-bit halves", ratio: 3.5 },
  { case: "cut+hash", against: "sum of parts", ratio: 1 },
  { case: "outboard cost", atMost: 2 },
];

function size(what: string, bytes: number, limit: number): Outcome {
  return { text: `${what}: ${bytes} bytes, under ${limit}`, met: bytes < limit };
}

export const bench: ScriptedBench = {
  worker: "test/bench/hashing/worker.ts",
  node: "test/bench/hashing/node-thread.ts",
  scripts: { "hash-worker.js": "src/worker/hash-worker.ts" },
  requirements,
  facts() {
    const code = Buffer.from(SIMD, "base64");
    return [size("SIMD module", code.length, 24 * 1024), size("SIMD module, gzip", gzipSync(code, { level: 9 }).length, 6 * 1024)];
  },
};
