import type { ScriptedBench } from "./bench.ts";
import { compressedFiles } from "./formats/compressed-files.ts";

export const bench: ScriptedBench = {
  worker: "test/bench/formats/worker.ts",
  node: "test/bench/formats/node-thread.ts",
  scripts: {},
  requirements: [
    { case: "1000 narinfos", atMost: 50 },
    { case: "1000 derivations", atMost: 200 },
    { case: "reference scan, program", atLeast: 1000 },
    { case: "reference scan, text", atLeast: 1000 },
  ],
  facts: () => [],
  files: compressedFiles,
};
