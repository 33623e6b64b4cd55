import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { StoreError } from "../../error.ts";
import { calculateNar } from "../../store/nar.ts";
import { parseAddress } from "../addresses.ts";
import { importBinaryCacheDir } from "../binary-cache-dir.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { defaultDataDir } from "../embedded-store.ts";
import { parseListenAddress } from "../listen-address.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { rpcRoutes } from "../rpc/routes.ts";
import { type ListenAddress, startServer } from "../server.ts";
import { ADDRESSES_HELP, DEFAULT_LISTEN, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices, type ServiceAddresses } from "../services.ts";
import { answerStatic } from "../static-files.ts";
import { UsageError } from "../usage-error.ts";

export const DAEMON_HELP = `Usage: tvix-store-web daemon [options]

Serves a store, to programs over gRPC and to pages over gRPC-Web and Connect, under the names of tvix and of snix; and the viewer at /.
Prints "listening on ADDRESS" when it is ready.

Options:
  -l, --listen-address ADDRESS  HOST:PORT (port 0 picks a free one) or unix:PATH; by default ${DEFAULT_LISTEN}
  --data-dir DIR                the embedded store, for services without an address;
                                by default tvix-store-web in $XDG_DATA_HOME or ~/.local/share
${SERVICE_FLAGS_HELP}
  --allow-origin ORIGIN         lets pages of this origin in, besides those on this machine (repeatable)
  --allow-host NAME             answers to this name too, on a loopback address (repeatable)
  --preload DIR                 first imports this binary cache, as nix copy --to file://DIR makes it
  --viewer DIR                  the viewer's files; by default those that came with the program

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
      preload: { type: "string" },
      viewer: { type: "string" },
    },
  });
  const listen = parseListenAddress(values["listen-address"]);
  const addresses = serviceAddresses(values, context.env, `file:${values["data-dir"] || defaultDataDir(context.env)}`);
  refuseSelf(listen, addresses);
  const viewer = await findViewer(values.viewer);

  const engine = new NodeHashEngine();
  const { signal } = context;
  const store = await openServices(addresses, engine);
  try {
    if (values.preload !== undefined) for await (const _ of importBinaryCacheDir(store, engine, values.preload, { signal }));
    const server = await startServer(listen, {
      allowOrigins: values["allow-origin"],
      allowHosts: values["allow-host"],
      routes: rpcRoutes(store, {
        calculateNar: (node, options) => calculateNar(store, engine, node, options),
        engine,
      }),
      fallback: viewer === undefined ? undefined : (request, answer) => answerStatic(viewer, request, answer),
    });
    try {
      await writeOut(context.stdout, `listening on ${server.address}\n`);
      await untilAborted(signal);
    } finally {
      await server.close();
    }
  } catch (error) {
    // To be told to end is no failure of a daemon, even while it was still starting.
    if (!signal.aborted || error !== signal.reason) throw error;
  } finally {
    await store.close();
  }
}

/** A daemon that asks itself would do so without an end. @throws UsageError */
function refuseSelf(listen: ListenAddress, addresses: ServiceAddresses): void {
  for (const text of Object.values(addresses)) {
    const address = parseAddress(text);
    const isSelf =
      "path" in listen
        ? address.scheme === "grpc+unix" && resolve(address.path) === resolve(listen.path)
        : address.scheme === "grpc+http" && isSamePort(new URL(address.url), listen);
    if (isSelf) throw new UsageError(`${text} is this daemon's own address: it would ask itself`);
  }
}

const LOOPBACK = new Set(["localhost", "127.0.0.1", "[::1]", "::1", "0.0.0.0", "[::]", "::"]);

function isSamePort({ hostname, port }: URL, listen: { host: string; port: number }): boolean {
  if (Number(port || 80) !== listen.port) return false;
  return hostname === listen.host || (LOOPBACK.has(hostname) && LOOPBACK.has(listen.host));
}

/** `undefined` if the program came without one. */
async function findViewer(dir: string | undefined): Promise<string | undefined> {
  const viewer = dir ?? fileURLToPath(new URL("../../viewer", import.meta.url));
  const found = await stat(join(viewer, "index.html")).catch(() => undefined);
  if (found?.isFile()) return viewer;
  if (dir !== undefined) throw new StoreError("not-found", `the viewer's index.html is not in ${dir}`);
  return undefined;
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
