import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { concatBytes, decodeUtf8Strict } from "../../bytes.ts";
import { StoreError } from "../../error.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { copyPaths } from "../copy-paths.ts";
import { fileError } from "../file-error.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { parsePathGraph } from "../path-graph.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const COPY_HELP = `Usage: tvix-store-web copy [options] FILE|-

Copies store paths from this machine's Nix store, with their references, derivers and signatures. FILE (or - for standard input) is the
JSON of nix path-info --json --recursive, or of exportReferencesGraph. Prints each store path once it is copied.

Options, by default the daemon at ${DEFAULT_DAEMON}:
${SERVICE_FLAGS_HELP}
  --root DIR                    the directory that /nix/store is in  (by default /)

${ADDRESSES_HELP}
`;

/** Bytes of JSON: some hundred thousand paths. */
const MAX_JSON = 256 * 1024 * 1024;

export async function runCopy(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: { ...SERVICE_FLAGS, root: { type: "string" } },
    allowPositionals: true,
  });
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new UsageError("copy needs one file, or - for standard input");
  const addresses = serviceAddresses(values, context.env, DEFAULT_DAEMON);
  const { signal } = context;

  const graph = parsePathGraph(await readText(file === "-" ? context.stdin : createReadStream(file), file));
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

async function readText(stream: Readable, name: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const part of stream) {
      if (!(part instanceof Uint8Array)) throw new StoreError("invalid", `${name} does not give bytes`);
      size += part.length;
      if (size > MAX_JSON) throw new StoreError("invalid", `${name} has more than ${MAX_JSON} bytes`);
      parts.push(part);
    }
  } catch (error) {
    throw fileError(error, `can't read ${name}`);
  }
  const text = decodeUtf8Strict(concatBytes(parts));
  if (text === undefined) throw new StoreError("invalid", `${name} is not UTF-8`);
  return text;
}
