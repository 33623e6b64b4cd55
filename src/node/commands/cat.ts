import { parseArgs } from "node:util";
import { formatDigest } from "../../castore/digest.ts";
import { StoreError } from "../../error.ts";
import { requireNode } from "../../store/list.ts";
import { iterate } from "../../stream.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";
import { parseInnerPath } from "./inner-path.ts";

export const CAT_HELP = `Usage: tvix-store-web cat [options] STORE_PATH/FILE

Writes a file of a store path to standard output, like nix store cat.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

export async function runCat(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: SERVICE_FLAGS, allowPositionals: true });
  const [text, ...more] = positionals;
  if (text === undefined || more.length > 0) throw new UsageError("cat needs exactly one STORE_PATH/FILE");
  const inner = parseInnerPath(text);

  const { signal } = context;
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), new NodeHashEngine());
  try {
    const node = await requireNode(store, inner.storePath, inner.path, { signal });
    if (node.kind !== "file") throw new StoreError("invalid", `${text} is a ${node.kind}, not a file`);
    const content = await store.blobs.open(node.digest, { signal });
    if (!content) throw new StoreError("not-found", `blob ${formatDigest(node.digest)} of ${text} is missing from the store`);
    for await (const bytes of iterate(content, signal)) await writeOut(context.stdout, bytes);
  } finally {
    await store.close();
  }
}
