import { parentPort, workerData } from "node:worker_threads";
import type { Options } from "../bench.ts";
import { runCases } from "./cases.ts";

await runCases(workerData as Options, (message) => parentPort?.postMessage(message));
