#!/usr/bin/env node
import { main } from "./cli.ts";

const controller = new AbortController();
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  // A second one ends the program at once, as it does by default.
  process.once(signal, () => controller.abort(new Error(`interrupted by ${signal}`)));
}
// Without a listener, a closed pipe would be an uncaught exception; writes report it by themselves.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  signal: controller.signal,
});
