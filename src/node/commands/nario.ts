import { parseArgs } from "node:util";
import { decompressed } from "../../compression/decompress.ts";
import { parseHashPart } from "../../nix/store-path.ts";
import { closureOf, requirePathInfo } from "../../store/closure.ts";
import { exportNario, importNario, listNario } from "../../store/nario.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { filePieces, pathPieces } from "../input-file.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const NARIO_HELP = `Usage: tvix-store-web nario export [options] STORE_PATH...
       tvix-store-web nario import [options] FILE|-
       tvix-store-web nario list FILE|-

A nario holds several store paths in one file: nix-store --export writes it, nix-store --import reads
it. export writes a nario to standard output. import imports a nario, compressed or not, and prints
its store paths. list prints the store paths in a nario and the sizes of their NARs.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
  -r, --recursive               export: includes the closures of the store paths
  --signatures                  export: includes signatures and content addresses, which
                                tvix-store-web stores on import and Nix ignores
  --format 1                    export: version of the format; only 1 is supported
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

const OPTIONS = {
  ...SERVICE_FLAGS,
  recursive: { type: "boolean", short: "r" },
  signatures: { type: "boolean" },
  format: { type: "string", default: "1" },
} as const;

type Values = ReturnType<typeof parse>["values"];

function parse(args: readonly string[]) {
  return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true });
}

export async function runNario(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parse(args);
  const [command, ...operands] = positionals;
  if (values.format !== "1") throw new UsageError(`nario format ${values.format} is not supported, only 1 is`);
  if (command === "export") return runExport(operands, values, context);
  if (values.recursive || values.signatures)
    throw new UsageError("--recursive and --signatures can only be used with nario export");
  if (command === "import") return runImport(operands, values, context);
  if (command === "list") return runList(operands, context);
  throw new UsageError(command === undefined ? "nario needs export, import or list" : `unknown command nario ${command}`);
}

async function runExport(storePaths: readonly string[], values: Values, { env, signal, stdout }: CliContext): Promise<void> {
  if (storePaths.length === 0) throw new UsageError("nario export needs at least one store path");
  for (const storePath of storePaths) parseHashPart(storePath);
  const engine = new NodeHashEngine();
  const store = await openServices(serviceAddresses(values, env, DEFAULT_DAEMON), engine);
  try {
    const infos = new Map<string, PathInfo>();
    const found = values.recursive
      ? await closureOf(store.pathInfos, storePaths, { signal })
      : await Promise.all(storePaths.map((path) => requirePathInfo(store.pathInfos, path, { signal })));
    for (const info of found) infos.set(info.storePath, info);
    const pieces = exportNario(store, infos.values(), { engine, notes: values.signatures ?? false, signal });
    for await (const bytes of pieces) await writeOut(stdout, bytes);
  } finally {
    await store.close();
  }
}

async function runImport(files: readonly string[], values: Values, context: CliContext): Promise<void> {
  const source = open(files, context);
  const engine = new NodeHashEngine();
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), engine);
  try {
    for await (const { storePath } of importNario(store, engine, source, { signal: context.signal }))
      await writeOut(context.stdout, `${storePath}\n`);
  } finally {
    await store.close();
  }
}

async function runList(files: readonly string[], context: CliContext): Promise<void> {
  const source = open(files, context);
  for await (const { storePath, narSize } of listNario(new NodeHashEngine(), source, { signal: context.signal }))
    await writeOut(context.stdout, `${storePath}: ${narSize} bytes\n`);
}

/**
 * Returns the decompressed bytes of the single operand, a file or `-`.
 *
 * @throws UsageError if there isn't exactly one
 */
function open(files: readonly string[], { stdin, signal }: CliContext): AsyncIterable<Uint8Array> {
  const [file, ...more] = files;
  if (file === undefined || more.length > 0) throw new UsageError("nario needs exactly one FILE, or - for standard input");
  return decompressed(file === "-" ? filePieces(stdin, file) : pathPieces(file), signal);
}
