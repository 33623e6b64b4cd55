import { lookup } from "node:dns/promises";
import { once } from "node:events";
import { readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { arrayMemory, DEFAULT_DECODER_MEMORY, LEAST_DECODER_MEMORY } from "../../compression/decoder-memory.ts";
import { StoreError } from "../../error.ts";
import { MemoryBudget } from "../../memory-budget.ts";
import { checkSecretKey } from "../../nix/ed25519.ts";
import { parseSecretKey, type SecretKey } from "../../nix/key.ts";
import { ResourceStack } from "../../resource-stack.ts";
import { DerivedDirectories } from "../../store/derived-directories.ts";
import { calculateNar } from "../../store/nar.ts";
import type { NarUrlScheme } from "../../store/nar-info.ts";
import { readOnly } from "../../store/read-only.ts";
import { signing } from "../../store/signing.ts";
import { isLoopbackAddress } from "../access.ts";
import { backendOf, parseAddress } from "../addresses.ts";
import { createBinaryCache, DEFAULT_MAX_NAR_SIZE } from "../binary-cache/binary-cache.ts";
import { importBinaryCacheDir } from "../binary-cache-dir.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { defaultDataDir } from "../embedded-store.ts";
import { fileError } from "../file-error.ts";
import { parseListenAddress } from "../listen-address.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ANYONE, Caller } from "../permissions.ts";
import { rpcRoutes } from "../rpc/routes.ts";
import { DEFAULT_MAX_CONNECTIONS, type ListenAddress, startServer } from "../server.ts";
import { ADDRESSES_HELP, DEFAULT_LISTEN, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices, type ServiceAddresses } from "../services.ts";
import { answerStatic } from "../static-files.ts";
import { DEFAULT_REQUEST_MEMORY, UPLOAD_MEMORY } from "../transfer.ts";
import { UsageError } from "../usage-error.ts";

const MIB = 1024 * 1024;

export const DAEMON_HELP = `Usage: tvix-store-web daemon [options]

Serves a store. Programs use it over gRPC and web pages over gRPC-Web and Connect, under the service
names of tvix and of snix. Nix uses it as a binary cache, for reading and writing. The viewer is at /.
Prints "listening on ADDRESS" when it is ready.

Options:
  -l, --listen-address ADDRESS  HOST:PORT (port 0 picks a free port) or unix:PATH;
                                by default ${DEFAULT_LISTEN}
  --data-dir DIR                directory of the embedded store, which serves blobs, directories and
                                path infos without an address of their own;
                                by default tvix-store-web in $XDG_DATA_HOME or ~/.local/share
${SERVICE_FLAGS_HELP}
  --allow-origin ORIGIN         allows pages of this origin (repeatable); pages on this machine are
                                always allowed
  --allow-host NAME             also answers to this host name (repeatable)
  --read-only                   refuses every change to the store
  --allow-anyone                lets all clients write, even if the daemon listens on an address
                                that other machines reach
  --signing-key FILE            signs uploaded store paths with this secret key, created by
                                nix-store --generate-binary-cache-key (repeatable)
  --priority N                  priority of the binary cache; by default 30. Nix asks caches with
                                lower values first
  --store-dir DIR               store directory of the binary cache's clients; by default /nix/store
  --nar-urls tvix|snix          form of the NAR URLs in NARInfo: nar/tvix-castore/... or
                                nar/snix-castore/...; by default tvix
  --max-connections N           maximum number of connections; by default ${DEFAULT_MAX_CONNECTIONS}
  --request-memory MIB          maximum memory of all uploads and answers; by default ${DEFAULT_REQUEST_MEMORY / MIB}.
                                If it is used up, requests wait, and the daemon ends slow ones
  --decoder-memory MIB          maximum memory of all decompressors of uploads, without brotli;
                                by default ${DEFAULT_DECODER_MEMORY / MIB}, and at least ${LEAST_DECODER_MEMORY / MIB}
  --max-nar-size BYTES          maximum size of an uploaded NAR, uncompressed; by default 1 TiB
  --preload DIR                 first imports a binary cache written by nix copy --to file://DIR
  --viewer DIR                  directory of the viewer's files; by default those of this package

${ADDRESSES_HELP}
`;

export async function runDaemon(args: readonly string[], context: CliContext): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...SERVICE_FLAGS,
      "listen-address": { type: "string", short: "l", default: DEFAULT_LISTEN },
      "data-dir": { type: "string" },
      "allow-origin": { type: "string", multiple: true },
      "allow-host": { type: "string", multiple: true },
      "read-only": { type: "boolean", default: false },
      "allow-anyone": { type: "boolean", default: false },
      "signing-key": { type: "string", multiple: true, default: [] },
      priority: { type: "string" },
      "store-dir": { type: "string" },
      "nar-urls": { type: "string", default: "tvix" },
      "max-connections": { type: "string", default: String(DEFAULT_MAX_CONNECTIONS) },
      "request-memory": { type: "string", default: String(DEFAULT_REQUEST_MEMORY / MIB) },
      "decoder-memory": { type: "string", default: String(DEFAULT_DECODER_MEMORY / MIB) },
      "max-nar-size": { type: "string", default: String(DEFAULT_MAX_NAR_SIZE) },
      preload: { type: "string" },
      viewer: { type: "string" },
    },
  });
  const listen = parseListenAddress(values["listen-address"]);
  const addresses = serviceAddresses(values, context.env, `file:${values["data-dir"] || defaultDataDir(context.env)}`);
  refuseSelf(listen, addresses);
  const viewer = await findViewer(values.viewer);
  const keys = await readSecretKeys(values["signing-key"]);
  const storeDir = parseStoreDir(values["store-dir"]);
  const cache = {
    priority: parsePriority(values.priority),
    storeDir,
    narUrls: parseNarUrls(values["nar-urls"]),
    maxNarSize: parseCount("--max-nar-size", values["max-nar-size"], 1),
  };

  const maxConnections = parseCount("--max-connections", values["max-connections"], 1);
  const requestMemory = parseCount("--request-memory", values["request-memory"], UPLOAD_MEMORY / MIB);
  arrayMemory.limit = MIB * parseCount("--decoder-memory", values["decoder-memory"], LEAST_DECODER_MEMORY / MIB);
  const transfer = { memory: new MemoryBudget(requestMemory * MIB) };

  const isExposed = "host" in listen && !(await isLoopbackHost(listen.host));
  const caller = callerOf({ readOnly: values["read-only"], isExposed, allowAnyone: values["allow-anyone"] });
  const authorize = (): Caller => caller;

  const engine = new NodeHashEngine();
  const { signal } = context;
  const acquired = new ResourceStack();
  try {
    const opened = acquired.use(await openServices(addresses, engine));
    const signed = keys.length === 0 ? opened : { ...opened, pathInfos: signing(opened.pathInfos, keys, storeDir) };
    if (values.preload !== undefined)
      for await (const _ of importBinaryCacheDir(signed, engine, values.preload, { signal, storeDir }));
    const stored = values["read-only"] ? readOnly(signed) : signed;
    const derived = new DerivedDirectories(stored.directories, { inMemory: !caller.may("write") });
    const store = { blobs: stored.blobs, directories: derived, pathInfos: stored.pathInfos };
    const binaryCache = createBinaryCache(store, { ...cache, engine, uploads: opened.uploads, transfer, authorize });
    const server = acquired.use(
      await startServer(listen, {
        allowOrigins: values["allow-origin"],
        allowHosts: values["allow-host"],
        transfer,
        authorize,
        maxConnections,
        routes: rpcRoutes(store, {
          calculateNar: (node, options) => calculateNar(store, engine, node, options),
          engine,
          derived,
        }),
        fallback: (request, answer) => {
          if (!binaryCache(request, answer)) answerStatic(viewer, request, answer);
        },
      }),
    );
    if (isExposed) await writeOut(context.stderr, `tvix-store-web: ${exposureWarning(caller)}\n`);
    await writeOut(context.stdout, `listening on ${server.address}\n`);
    if (!signal.aborted) await once(signal, "abort");
  } catch (error) {
    // A request to end is not a failure, even if the daemon was still starting.
    if (!signal.aborted || error !== signal.reason) throw error;
  } finally {
    await acquired.dispose();
  }
}

/** Whether only this machine can reach the addresses of `host`. */
async function isLoopbackHost(host: string): Promise<boolean> {
  const addresses = await lookup(host, { all: true }).catch(() => []);
  return addresses.length > 0 && addresses.every(({ address }) => isLoopbackAddress(address));
}

interface Openness {
  readonly readOnly: boolean;
  readonly isExposed: boolean;
  readonly allowAnyone: boolean;
}

function callerOf({ readOnly, isExposed, allowAnyone }: Openness): Caller {
  if (readOnly) return new Caller(["read"], "this store is read-only");
  if (!isExposed || allowAnyone) return ANYONE;
  return new Caller(
    ["read"],
    "this daemon refuses writes, because other machines can reach it; start it with --allow-anyone, or let it listen on a loopback address or a Unix socket",
  );
}

function exposureWarning(caller: Caller): string {
  const verbs = caller.may("write") ? "read and write" : "read";
  return `everybody who reaches this address may ${verbs} the store`;
}

/**
 * Refuses addresses of this daemon itself: requests would loop without end.
 *
 * @throws UsageError if an address is the one that the daemon listens on
 */
function refuseSelf(listen: ListenAddress, addresses: ServiceAddresses): void {
  for (const text of Object.values(addresses)) {
    const address = parseAddress(text);
    const endpoint = backendOf(address).endpoint?.(address);
    if (!endpoint) continue;
    const isSelf =
      "path" in endpoint
        ? "path" in listen && resolve(endpoint.path) === resolve(listen.path)
        : "host" in listen && isSamePort(new URL(endpoint.url), listen);
    if (isSelf) throw new UsageError(`${text} is this daemon's own address: the daemon can't be its own storage`);
  }
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]", "::1", "0.0.0.0", "[::]", "::"]);

function isSamePort({ hostname, port }: URL, listen: { host: string; port: number }): boolean {
  if (Number(port || 80) !== listen.port) return false;
  return hostname === listen.host || (LOOPBACK.has(hostname) && LOOPBACK.has(listen.host));
}

async function readSecretKeys(files: readonly string[]): Promise<SecretKey[]> {
  const keys: SecretKey[] = [];
  for (const file of files) {
    const text = await readFile(file, "utf8").catch((error: unknown) => {
      throw fileError(error, `can't read the signing key ${file}`);
    });
    const key = parseSecretKey(text);
    // Check the key now. Otherwise the first upload would fail, as if the client were wrong.
    await checkSecretKey(key);
    keys.push(key);
  }
  return keys;
}

/**
 * @throws UsageError if the priority is not a number
 */
function parsePriority(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (!/^[0-9]{1,9}$/.test(text)) throw new UsageError(`--priority must be a number, not ${text}`);
  return Number(text);
}

/**
 * @throws UsageError if the text is not a whole number, or less than `least`
 */
function parseCount(flag: string, text: string, least: number): number {
  const count = Number(text);
  if (/^[0-9]{1,15}$/.test(text) && count >= least) return count;
  throw new UsageError(`${flag} must be a whole number of at least ${least}, not ${text}`);
}

/**
 * @throws UsageError if the store directory is not an absolute path
 */
function parseStoreDir(text: string | undefined): string | undefined {
  if (text === undefined || /^(\/[^/\s]+)+$/.test(text)) return text;
  throw new UsageError(`--store-dir must be an absolute path, not ${text}`);
}

/**
 * @throws UsageError if the text is neither `tvix` nor `snix`
 */
function parseNarUrls(text: string): NarUrlScheme {
  if (text === "tvix" || text === "snix") return `${text}-castore`;
  throw new UsageError(`--nar-urls must be tvix or snix, not ${text}`);
}

/**
 * Returns the viewer's directory, or `undefined` if this package doesn't include the viewer.
 *
 * @throws StoreError `not-found` if `dir` is given and has no index.html
 */
async function findViewer(dir: string | undefined): Promise<string | undefined> {
  const viewer = dir ?? fileURLToPath(new URL("../../viewer", import.meta.url));
  const found = await stat(join(viewer, "index.html")).catch(() => undefined);
  if (found?.isFile()) return viewer;
  if (dir !== undefined) throw new StoreError("not-found", `the viewer directory ${dir} has no index.html`);
  return undefined;
}
