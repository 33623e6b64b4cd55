#!/usr/bin/env node
import { setMaxListeners } from "node:events";
import { main } from "./cli.ts";

// Every call that is under way listens to a signal of the operation that it belongs to, and Node takes eleven for a leak.
setMaxListeners(0);

const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // A second one ends the program at once, as it does by default.
  process.once(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
}
// Without a listener, a closed pipe would be an uncaught exception; writes report it by themselves.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

// Where a connection is cut in an unlucky moment, a promise of a library below may never settle, and Node would end without a word.
const endedEarly = (): void => {
  process.stderr.write("tvix-store-web: a connection was cut before it answered\n");
  process.exit(1);
};
process.once("beforeExit", endedEarly);

const status = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: controller.signal,
});
process.off("beforeExit", endedEarly);
process.exitCode = status;
