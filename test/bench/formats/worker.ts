/** The dedicated worker in a page. */

import type { Message, Options } from "../bench.ts";
import { runCases } from "./cases.ts";

declare const self: DedicatedWorkerGlobalScope;

const options = JSON.parse(new URLSearchParams(self.location.search).get("options") ?? "{}") as Options;
await runCases(options, (message: Message): void => self.postMessage(message));
