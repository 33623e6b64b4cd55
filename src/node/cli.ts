import { createRequire } from "node:module";
import { isStoreError } from "../error.ts";
import { describeFailedPath, FailedPathsError } from "../store/failed-paths.ts";
import "./brotli.ts";
import { type CliContext, writeOut } from "./cli-context.ts";
import { CAT_HELP, runCat } from "./commands/cat.ts";
import { COPY_HELP, runCopy } from "./commands/copy.ts";
import { DAEMON_HELP, runDaemon } from "./commands/daemon.ts";
import { EXPORT_HELP, runExport } from "./commands/export.ts";
import { IMPORT_HELP, runImport } from "./commands/import.ts";
import { LS_HELP, runLs } from "./commands/ls.ts";
import { NARIO_HELP, runNario } from "./commands/nario.ts";
import { PATH_INFO_HELP, runPathInfo } from "./commands/path-info.ts";
import { UsageError } from "./usage-error.ts";

interface Command {
  readonly help: string;
  run(args: readonly string[], context: CliContext): Promise<void>;
}

const COMMANDS: ReadonlyMap<string, Command> = new Map([
  ["daemon", { help: DAEMON_HELP, run: runDaemon }],
  ["import", { help: IMPORT_HELP, run: runImport }],
  ["copy", { help: COPY_HELP, run: runCopy }],
  ["export", { help: EXPORT_HELP, run: runExport }],
  ["nario", { help: NARIO_HELP, run: runNario }],
  ["ls", { help: LS_HELP, run: runLs }],
  ["cat", { help: CAT_HELP, run: runCat }],
  ["path-info", { help: PATH_INFO_HELP, run: runPathInfo }],
]);

const HELP = `Usage: tvix-store-web COMMAND [options]

Commands:
  daemon     serves a store and the viewer
  import     imports files and directories, and prints their store paths
  copy       copies store paths from this machine's Nix store, or from another store
  export     writes a store path as a NAR
  nario      exports store paths to one file; imports and lists such files
  ls         lists a directory of a store path
  cat        writes a file of a store path to standard output
  path-info  prints the store's information about store paths

See tvix-store-web COMMAND --help for the options. tvix-store-web --version prints the version.
`;

const PROGRAM = "tvix-store-web";

/**
 * Runs the program. Writes the reason for a failure to standard error: one line, or one line for
 * each store path that failed.
 *
 * @param argv arguments after the program's name
 * @returns the exit status: 0 for success, 1 for a failure, 2 for wrong usage
 */
export async function main(argv: readonly string[], context: CliContext): Promise<number> {
  try {
    await dispatch(argv, context);
    return 0;
  } catch (error) {
    const usage = error instanceof UsageError || isParseArgsError(error);
    const hint = usage ? ` (${PROGRAM} ${COMMANDS.has(argv[0] ?? "") ? `${argv[0]} ` : ""}--help shows the usage)` : "";
    const lines = reasonsOf(error, context.signal).map((reason) => `${PROGRAM}: ${oneLine(reason)}${hint}\n`);
    await writeOut(context.stderr, lines.join("")).catch(() => {});
    return usage ? 2 : 1;
  }
}

async function dispatch(argv: readonly string[], context: CliContext): Promise<void> {
  const [name, ...args] = argv;
  if (name === undefined) throw new UsageError("a command is missing");
  if (name === "--help" || name === "-h" || name === "help") return writeOut(context.stdout, HELP);
  if (name === "--version" || name === "-V") return writeOut(context.stdout, `${PROGRAM} ${readVersion()}\n`);
  const command = COMMANDS.get(name);
  if (!command) throw new UsageError(`${name.startsWith("-") ? "unknown option" : "unknown command"} ${JSON.stringify(name)}`);
  const end = args.indexOf("--");
  const flags = end < 0 ? args : args.slice(0, end);
  if (flags.includes("--help") || flags.includes("-h")) return writeOut(context.stdout, command.help);
  return command.run(args, context);
}

function isParseArgsError(error: unknown): boolean {
  return error instanceof TypeError && "code" in error && String(error.code).startsWith("ERR_PARSE_ARGS_");
}

function reasonsOf(error: unknown, signal: AbortSignal): string[] {
  if (error instanceof FailedPathsError) return error.failures.map(describeFailedPath);
  return [reasonOf(error, signal)];
}

function reasonOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted && error === signal.reason) return "interrupted";
  if (error instanceof Error && "code" in error && error.code === "EPIPE") return "the reader of the output has closed it";
  if (isStoreError(error) || error instanceof UsageError) return error.message;
  return error instanceof Error ? error.message : String(error);
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}

function readVersion(): string {
  const found: unknown = createRequire(import.meta.url)("../../package.json");
  return typeof found === "object" && found !== null && "version" in found ? String(found.version) : "unknown";
}
