#!/usr/bin/env node
import { setMaxListeners } from "node:events";
import { main } from "./cli.ts";

// Each running call listens to the signal of its operation. Node would warn of a leak at the
// eleventh listener.
setMaxListeners(0);

const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // A second signal ends the program at once, which is Node's default.
  process.once(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
}
// Without a listener, a closed pipe would cause an uncaught exception. Failed writes report it
// themselves.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

// If a connection is cut at certain moments, a promise in a library may never settle. Node would
// then exit silently.
const endedEarly = (): void => {
  process.stderr.write("tvix-store-web: a connection was cut before the peer answered\n");
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
