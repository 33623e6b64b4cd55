import { createReadStream } from "node:fs";
import { parseArgs } from "node:util";
import { parseHashPart } from "../../nix/store-path.ts";
import { ResourceStack } from "../../resource-stack.ts";
import { substitutePaths } from "../../store/substitute.ts";
import { copyBetweenStores } from "../../store/sync.ts";
import { parseAddress } from "../addresses.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { copyPaths } from "../copy-paths.ts";
import { readText } from "../input-file.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { parsePathGraph } from "../path-graph.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { offers, openAddress, openServices, type ServiceAddresses } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const COPY_HELP = `Usage: tvix-store-web copy [options] FILE|-
       tvix-store-web copy [options] --from ADDRESS STORE_PATH...

Copies store paths from this machine's Nix store, with their references, derivers and signatures.
FILE (or - for standard input) is JSON written by nix path-info --json --recursive or by
exportReferencesGraph. With --from, copies the closures of store paths from another store.

Prints each store path once it is copied. If a binary cache can't supply some paths, the other paths
are copied. Each failed path has one line on standard error, and the exit status is 1.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
${SERVICE_FLAGS_HELP}
  --root DIR                    directory that contains /nix/store; by default /
  --from ADDRESS                the other store: a Nix binary cache (nix+https:), a daemon or an
                                embedded store
  --no-closure                  with --from: copies only the given paths, without their closures

${ADDRESSES_HELP}
`;

/** Maximum size of the JSON, in bytes. Some hundred thousand paths fit. */
const MAX_JSON = 256 * 1024 * 1024;

export async function runCopy(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...SERVICE_FLAGS, root: { type: "string" }, from: { type: "string" }, "no-closure": { type: "boolean" } },
    allowPositionals: true,
  });
  const addresses = serviceAddresses(values, context.env, DEFAULT_DAEMON);
  if (values.from !== undefined) {
    if (values.root !== undefined) throw new UsageError("--root can't be combined with --from");
    return copyFrom(values.from, positionals, addresses, values["no-closure"] !== true, context);
  }
  if (values["no-closure"]) throw new UsageError("--no-closure needs --from");
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError("copy needs exactly one FILE, or - for standard input");
  const { signal } = context;

  const graph = parsePathGraph(await readText(file === "-" ? context.stdin : createReadStream(file), file, MAX_JSON));
  const engine = new NodeHashEngine();
  const store = await openServices(addresses, engine);
  try {
    for await (const info of copyPaths(store, engine, graph, { root: values.root, signal })) {
      await writeOut(context.stdout, `${info.storePath}\n`);
    }
  } finally {
    await store.close();
  }
}

/** Copies store paths from a binary cache or another store. */
async function copyFrom(
  from: string,
  storePaths: readonly string[],
  addresses: ServiceAddresses,
  closure: boolean,
  { signal, stdout }: CliContext,
): Promise<void> {
  if (storePaths.length === 0) throw new UsageError("copy --from needs a store path");
  for (const storePath of storePaths) parseHashPart(storePath);
  const source = parseAddress(from);
  const engine = new NodeHashEngine();
  const onPath = (storePath: string): Promise<void> => writeOut(stdout, `${storePath}\n`);
  const acquired = new ResourceStack();
  try {
    const store = acquired.use(await openServices(addresses, engine));
    const { calculateNar } = store;
    const { substitutes } = offers(source, "substitutes")
      ? acquired.adopt(await openAddress(source, engine), (opened) => opened.close?.())
      : {};
    if (substitutes) {
      const { cache, ...options } = substitutes;
      await cache.info({ signal });
      await substitutePaths(store, cache, storePaths, { engine, ...options, closure, signal, calculateNar, onPath });
      return;
    }
    const other = acquired.use(await openServices({ blobs: from, directories: from, pathInfos: from }, engine));
    await copyBetweenStores(other, store, storePaths, { engine, closure, signal, calculateNar, onPath, reuseChunks: true });
  } finally {
    await acquired.dispose();
  }
}
