import { createHash } from "node:crypto";
import { parseArgs } from "node:util";
import { StoreError } from "../../error.ts";
import { formatSri } from "../../nix/hash.ts";
import { parseHashPart } from "../../nix/store-path.ts";
import { requirePathInfo } from "../../store/closure.ts";
import { renderNar } from "../../store/nar.ts";
import { iterate } from "../../stream.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const EXPORT_HELP = `Usage: tvix-store-web export [options] STORE_PATH

Writes a store path as a NAR to standard output, like nix-store --dump.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

export async function runExport(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: SERVICE_FLAGS, allowPositionals: true });
  const [storePath, ...more] = positionals;
  if (storePath === undefined || more.length > 0) throw new UsageError("export needs exactly one store path");
  parseHashPart(storePath);

  const { signal } = context;
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), new NodeHashEngine());
  try {
    const info = await requirePathInfo(store.pathInfos, storePath, { signal });
    const hash = createHash("sha256");
    for await (const bytes of iterate(renderNar(store, info.node, { signal }), signal)) {
      hash.update(bytes);
      await writeOut(context.stdout, bytes);
    }
    // The reads checked each blob and directory against its digest. This checks that the path info
    // names the right content.
    const actual = formatSri({ algorithm: "sha256", digest: hash.digest() });
    if (actual !== info.narHash) {
      throw new StoreError("corrupt", `the NAR of ${info.storePath} has the hash ${actual} instead of ${info.narHash}`);
    }
  } finally {
    await store.close();
  }
}
