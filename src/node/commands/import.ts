import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { checkStorePathName } from "../../nix/store-path.ts";
import { importEntries } from "../../store/import.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { fsEntries } from "../fs-entries.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const IMPORT_HELP = `Usage: tvix-store-web import [options] PATH...

Imports files, symlinks and directories, and prints the store path of each: the one that nix-store --add gives it.

Options, by default the daemon at ${DEFAULT_DAEMON}:
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

export async function runImport(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({ args: [...args], options: SERVICE_FLAGS, allowPositionals: true });
  if (positionals.length === 0) throw new UsageError("import needs a path");
  // Before anything is read: a bad name at the end should not cost the work before it.
  const sources = positionals.map((path) => ({ path: resolve(path), name: basename(resolve(path)) }));
  for (const { name } of sources) checkStorePathName(name);

  const engine = new NodeHashEngine();
  const { signal } = context;
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), engine);
  try {
    for (const { path, name } of sources) {
      const entries = (uploader: Parameters<typeof fsEntries>[1]) => fsEntries(path, uploader, { signal });
      const info = await importEntries(store, engine, entries, { name, signal });
      await writeOut(context.stdout, `${info.storePath}\n`);
    }
  } finally {
    await store.close();
  }
}
