import { createReadStream } from "node:fs";
import { basename, resolve } from "node:path";
import { parseArgs } from "node:util";
import { decompressed } from "../../compression/decompress.ts";
import { CONTENT_ADDRESS_METHODS, canHash } from "../../nix/content-address.ts";
import { DERIVATION_MAX_LENGTH } from "../../nix/derivation-file.ts";
import { HASH_LENGTHS, isHashAlgorithm } from "../../nix/hash.ts";
import { NARINFO_MAX_LENGTH, parseNarInfo } from "../../nix/narinfo.ts";
import { checkStorePathName } from "../../nix/store-path.ts";
import type { Addressing } from "../../store/addressing.ts";
import { requirePathInfo } from "../../store/closure.ts";
import { importEntries, importNar } from "../../store/import.ts";
import { importDerivation } from "../../store/import-derivation.ts";
import type { PathInfo } from "../../store/path-info.ts";
import type { StoreServices } from "../../store/services.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { fsEntries } from "../fs-entries.ts";
import { filePieces, pathPieces, readBytes, readText } from "../input-file.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

const METHODS = CONTENT_ADDRESS_METHODS.join("|");
const ALGORITHMS = Object.keys(HASH_LENGTHS).join("|");

export const IMPORT_HELP = `Usage: tvix-store-web import [options] PATH...

Imports files, symlinks and directories, and prints the store path of each. By default this is the
same path as nix-store --add gives.

  -n, --name NAME               name of the store path, if there is one PATH; by default the file's name
  --mode ${METHODS}
                                content that is hashed; by default nar:
                                nar:  the NAR of a file, symlink or directory
                                flat: the bytes of a file, as for nix store add-file
                                text: the bytes of a file that may refer to store paths, as for
                                      builtins.toFile
                                git:  a git blob or tree, as for nix store add --mode git
  --hash-algo ALGO              ${ALGORITHMS}, as for nix-store --add-fixed and
                                nix store add; by default sha256. text only accepts sha256; git
                                accepts sha1 and sha256
  --reference STORE_PATH        store path that the content refers to (repeatable); for --mode text
                                and --mode nar
  --derivation                  imports PATH as a .drv file, and prints the derivation's store path
  --nar-info FILE               imports PATH (or - for standard input) as a NAR, compressed or not,
                                under the store path of this NARInfo file. Its NAR size and NAR hash
                                must match the NAR, and its references must be in the store. Signatures
                                are stored but not checked

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

type Flags = ReturnType<typeof parseFlags>["values"];

/** Imports the file, symlink or directory of one PATH. */
type Import = (store: StoreServices, engine: NodeHashEngine, context: CliContext) => Promise<PathInfo>;

export async function runImport(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseFlags(args);
  if (positionals.length === 0) throw new UsageError("import needs at least one PATH");
  // Check all arguments before any import: a bad name at the end should not waste earlier work.
  const imports = positionals.map((path) => plan(path, values, positionals.length));

  const engine = new NodeHashEngine();
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), engine);
  try {
    for (const run of imports) await writeOut(context.stdout, `${(await run(store, engine, context)).storePath}\n`);
  } finally {
    await store.close();
  }
}

function parseFlags(args: readonly string[]) {
  return parseArgs({
    args: [...args],
    options: {
      ...SERVICE_FLAGS,
      name: { type: "string", short: "n" },
      mode: { type: "string" },
      "hash-algo": { type: "string" },
      reference: { type: "string", multiple: true },
      derivation: { type: "boolean" },
      "nar-info": { type: "string" },
    },
    allowPositionals: true,
  });
}

function plan(path: string, flags: Flags, count: number): Import {
  const { name, mode, reference, derivation } = flags;
  const narInfo = flags["nar-info"];
  const isOne = name !== undefined || narInfo !== undefined;
  if (isOne && count > 1) throw new UsageError(`--${name === undefined ? "nar-info" : "name"} can only be used with one PATH`);
  const isAddressed = [name, mode, flags["hash-algo"], reference].some((flag) => flag !== undefined);
  if (narInfo !== undefined) {
    if (isAddressed || derivation)
      throw new UsageError("--nar-info can't be combined with flags that determine the store path: the NARInfo file states it");
    return narImport(path, narInfo);
  }
  if (derivation) {
    if (isAddressed)
      throw new UsageError("--derivation can't be combined with flags that determine the store path: the derivation determines it");
    return derivationImport(path);
  }
  return treeImport(path, addressingOf(resolve(path), flags));
}

function addressingOf(path: string, { name = basename(path), mode, reference, ...flags }: Flags): Addressing {
  const method = CONTENT_ADDRESS_METHODS.find((method) => method === (mode ?? "nar"));
  if (!method) throw new UsageError(`--mode must be one of ${METHODS}`);
  const hashAlgorithm = flags["hash-algo"] ?? "sha256";
  if (!isHashAlgorithm(hashAlgorithm)) throw new UsageError(`--hash-algo must be one of ${ALGORITHMS}`);
  if (!canHash(method, hashAlgorithm)) throw new UsageError(`--mode ${method} doesn't accept --hash-algo ${hashAlgorithm}`);
  checkStorePathName(name);
  return { name, method, hashAlgorithm, references: reference };
}

function treeImport(path: string, addressing: Addressing): Import {
  return async (store, engine, { signal }) => {
    const entries = (uploader: Parameters<typeof fsEntries>[1]) => fsEntries(resolve(path), uploader, { signal });
    return importEntries(store, engine, entries, { ...addressing, signal });
  };
}

function derivationImport(path: string): Import {
  const name = basename(resolve(path));
  return async (store, engine, { signal }) => {
    const bytes = await readBytes(createReadStream(path), path, DERIVATION_MAX_LENGTH);
    return importDerivation(store, engine, bytes, { name, signal });
  };
}

function narImport(path: string, narInfoFile: string): Import {
  return async (store, engine, { signal, stdin }) => {
    const narInfo = await readText(createReadStream(narInfoFile), narInfoFile, NARINFO_MAX_LENGTH);
    const { storePath, references } = parseNarInfo(narInfo);
    for (const reference of references) {
      if (!storePath.endsWith(`/${reference}`)) await requirePathInfo(store.pathInfos, reference, { signal, referrer: storePath });
    }
    const source = path === "-" ? filePieces(stdin, path) : pathPieces(path);
    return importNar(store, engine, decompressed(source, signal), { narInfo, signal });
  };
}
