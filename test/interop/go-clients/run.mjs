// @ts-check
/**
 * `npm run test:go-clients` runs the session of tvix's documentation with two gRPC clients in Go,
 * evans and grpcurl, against the built daemon: they learn the services by reflection, put a blob
 * and read it. go.mod pins the programs, and Go builds them. If there is no Go, the script says so
 * and runs nothing. Exit status: 0 if everything succeeded or nothing was run, else 1.
 */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const here = import.meta.dirname;
const main = resolve(here, "../../../dist/node/main.js");

const CONTENT = "eDg2XzY0LWxpbnV4";
const DIGEST = "KOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=";
const MISSING = "AOM3/IHEx7YfInAnlJpAElYezq0Sxn9fRz7xuClwNfA=";
const BLOBS = "tvix.castore.v1.BlobService";

/** @typedef {{ status: number, output: string }} Result */

/** @param {string} program @param {string[]} args @param {string} [input] @returns {Promise<Result>} */
async function call(program, args, input = "") {
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (output += data));
  child.stdin.end(input);
  const [status] = await once(child, "close");
  return { status, output };
}

/** @param {string} what @param {Result} result @param {number} status @param {...string} expected */
function check(what, { status: actual, output }, status, ...expected) {
  const missing = expected.filter((text) => !output.includes(text));
  if ((status === 0) === (actual === 0) && missing.length === 0) {
    console.log(`ok       ${what}`);
    return;
  }
  console.log(`FAILED   ${what}: exit status ${actual}, without ${JSON.stringify(missing)}\n${output}`);
  process.exitCode = 1;
}

/** @param {string} programs @param {string} host @param {string} port */
async function session(programs, host, port) {
  const json = (/** @type {object} */ value) => JSON.stringify(value);
  const evans = (/** @type {string[]} */ args, input = "") =>
    call(join(programs, "evans"), ["--host", host, "--port", port, "--reflection", "cli", ...args], input);
  check("evans lists the services", await evans(["list"]), 0, BLOBS, "tvix.store.v1.PathInfoService", "grpc.health.v1.Health");
  check("evans lists the calls", await evans(["list", BLOBS]), 0, `${BLOBS}.Put`, `${BLOBS}.Read`, `${BLOBS}.Stat`);
  check("evans puts a blob", await evans(["call", `${BLOBS}.Put`], json({ data: CONTENT })), 0, DIGEST);
  check("evans reads it", await evans(["call", `${BLOBS}.Read`], json({ digest: DIGEST })), 0, CONTENT);
  check("evans is told of a missing one", await evans(["call", `${BLOBS}.Read`], json({ digest: MISSING })), 1, "NotFound");

  const address = `${host}:${port}`;
  const grpcurl = (/** @type {string[]} */ ...args) => call(join(programs, "grpcurl"), ["-plaintext", ...args]);
  check("grpcurl lists the services", await grpcurl(address, "list"), 0, BLOBS, "snix.castore.v1.DirectoryService");
  check("grpcurl describes a message", await grpcurl(address, "describe", "tvix.store.v1.PathInfo"), 0, "nar", "references");
  check("grpcurl puts a blob", await grpcurl("-d", json({ data: CONTENT }), address, `${BLOBS}/Put`), 0, DIGEST);
  check("grpcurl reads it", await grpcurl("-d", json({ digest: DIGEST }), address, `${BLOBS}/Read`), 0, CONTENT);
  check(
    "grpcurl is told of a missing one",
    await grpcurl("-d", json({ digest: MISSING }), address, `${BLOBS}/Stat`),
    1,
    "NotFound",
  );
  const infos = await grpcurl(address, "tvix.store.v1.PathInfoService/List");
  check("grpcurl lists the path infos", infos, 0, "hello-tvix-1.0", "narSha256");
}

const go = await run("go", ["version"]).catch(() => undefined);
if (!go) {
  console.log("NOT RUN: evans and grpcurl were not tried, since there is no Go on this machine");
} else {
  await access(main).catch(() => {
    throw new Error("there is no dist/; run `npm run build` first");
  });
  const programs = await mkdtemp(join(tmpdir(), "tvix-go-clients-"));
  try {
    const packages = ["github.com/ktr0731/evans", "github.com/fullstorydev/grpcurl/cmd/grpcurl"];
    console.log(`building ${packages.join(" and ")} with ${go.stdout.trim()}`);
    await run("go", ["build", "-o", `${programs}/`, ...packages], { cwd: here });
    const memory = ["blob", "directory", "path-info"].flatMap((service) => [`--${service}-service-addr`, "memory:"]);
    const sample = resolve(here, "../../fixtures/sample");
    const daemon = spawn(process.execPath, [main, "daemon", "-l", "127.0.0.1:0", "--preload", sample, ...memory], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      const [line] = await once(daemon.stdout, "data");
      const { hostname, port } = new URL(String(line).trim().split(" ").at(-1) ?? "");
      await session(programs, hostname, port);
    } finally {
      daemon.kill();
    }
  } finally {
    await rm(programs, { recursive: true, force: true });
  }
}
