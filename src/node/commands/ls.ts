import { basename } from "node:path";
import { parseArgs } from "node:util";
import { concatBytes, utf8 } from "../../bytes.ts";
import type { DirectoryEntry } from "../../castore/directory.ts";
import { MAX_TREE_DEPTH } from "../../castore/ingest.ts";
import type { Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { StoreError } from "../../error.ts";
import { listDirectory, requireNode } from "../../store/list.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";
import { parseInnerPath } from "./inner-path.ts";

export const LS_HELP = `Usage: tvix-store-web ls [options] STORE_PATH[/PATH]

Lists a directory of a store path, like nix store ls of Nix 2.8.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
  -l, --long                    shows types, sizes and symlink targets
  -R, --recursive               lists the contents of subdirectories too
  -d, --directory               lists the directory itself, not its contents
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

export async function runLs(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      ...SERVICE_FLAGS,
      long: { type: "boolean", short: "l" },
      recursive: { type: "boolean", short: "R" },
      directory: { type: "boolean", short: "d" },
    },
    allowPositionals: true,
  });
  const [text, ...more] = positionals;
  if (text === undefined || more.length > 0) throw new UsageError("ls needs exactly one path");
  const inner = parseInnerPath(text);

  const { signal, stdout } = context;
  const show = (path: Uint8Array, node: Node) =>
    writeOut(stdout, values.long ? longLine(path, node) : concatBytes([path, NEWLINE]));
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), new NodeHashEngine());
  try {
    const node = await requireNode(store, inner.storePath, inner.path, { signal });
    if (node.kind !== "directory") return await show(utf8(basename(text)), node);
    if (values.directory) await show(utf8("."), node);
    if (values.directory && !values.recursive) return;
    for await (const entry of entries(store, node, values.recursive ?? false, signal)) await show(entry.path, entry.node);
  } finally {
    await store.close();
  }
}

interface Listed {
  /** Path relative to the listed directory. It begins with `./`. */
  readonly path: Uint8Array;
  readonly node: Node;
}

/**
 * Yields the entries of `root`, each directory before its contents. Doesn't recurse, so a deep tree
 * can't overflow the call stack.
 */
async function* entries(castore: CastoreServices, root: Node, isRecursive: boolean, signal: AbortSignal): AsyncGenerator<Listed> {
  const open = async (path: Uint8Array, node: Node) => ({ path, entries: await list(castore, node, signal), next: 0 });
  const stack = [await open(utf8("."), root)];
  for (let top = stack.at(-1); top; top = stack.at(-1)) {
    const entry = top.entries[top.next++];
    if (!entry) {
      stack.pop();
      continue;
    }
    const path = concatBytes([top.path, SLASH, entry.name]);
    yield { path, node: entry.node };
    if (entry.node.kind !== "directory" || !isRecursive) continue;
    if (stack.length > MAX_TREE_DEPTH) throw new StoreError("invalid", `the tree is deeper than ${MAX_TREE_DEPTH} directories`);
    stack.push(await open(path, entry.node));
  }
}

async function list(castore: CastoreServices, node: Node, signal: AbortSignal): Promise<readonly DirectoryEntry[]> {
  return (await listDirectory(castore, node, "", { signal })) ?? [];
}

const NEWLINE = utf8("\n");
const SLASH = utf8("/");

/**
 * Formats a line as Nix does: the mode, the size in 20 columns and the path. Only files have a
 * size; the others show 0.
 */
function longLine(path: Uint8Array, node: Node): Uint8Array {
  const size = node.kind === "file" ? node.size : 0n;
  const target = node.kind === "symlink" ? [utf8(" -> "), node.target] : [];
  return concatBytes([utf8(`${mode(node)} ${String(size).padStart(20)} `), path, ...target, NEWLINE]);
}

function mode(node: Node): string {
  if (node.kind === "directory") return "dr-xr-xr-x";
  if (node.kind === "symlink") return "lrwxrwxrwx";
  return node.executable ? "-r-xr-xr-x" : "-r--r--r--";
}
