import { parseArgs } from "node:util";
import { parseHashPart } from "../../nix/store-path.ts";
import { closureOf, requirePathInfo } from "../../store/closure.ts";
import type { PathInfo } from "../../store/path-info.ts";
import { PATH_INFO_JSON_FORMATS, pathInfosToJson } from "../../store/path-info-json.ts";
import { type CliContext, writeOut } from "../cli-context.ts";
import { NodeHashEngine } from "../node-hash-engine.ts";
import { ADDRESSES_HELP, DEFAULT_DAEMON, SERVICE_FLAGS, SERVICE_FLAGS_HELP, serviceAddresses } from "../service-flags.ts";
import { openServices } from "../services.ts";
import { UsageError } from "../usage-error.ts";

export const PATH_INFO_HELP = `Usage: tvix-store-web path-info [options] STORE_PATH...

Prints the given store paths, one on each line. With --json, prints the store's information about
them, like nix path-info.

Options (by default, the store is the daemon at ${DEFAULT_DAEMON}):
  -r, --recursive               includes the closures, dependencies first
  --json                        prints JSON with sizes, hashes, references and signatures
  --json-format FORMAT          implies --json; by default array:
                                1, 2 or 3: like nix path-info with the same flag
                                object: like Nix 2.19 to 2.32
                                array: like Nix 2.8
${SERVICE_FLAGS_HELP}

${ADDRESSES_HELP}
`;

export async function runPathInfo(args: readonly string[], context: CliContext): Promise<void> {
  const { values, positionals } = parseArgs({
    args: [...args],
    options: {
      ...SERVICE_FLAGS,
      recursive: { type: "boolean", short: "r" },
      json: { type: "boolean" },
      "json-format": { type: "string" },
    },
    allowPositionals: true,
  });
  if (positionals.length === 0) throw new UsageError("path-info needs at least one store path");
  const format = PATH_INFO_JSON_FORMATS.find((format) => String(format) === (values["json-format"] ?? "array"));
  if (format === undefined)
    throw new UsageError(`--json-format must be one of ${PATH_INFO_JSON_FORMATS.join(", ")}, not ${values["json-format"]}`);
  for (const storePath of positionals) parseHashPart(storePath);

  const { signal } = context;
  const store = await openServices(serviceAddresses(values, context.env, DEFAULT_DAEMON), new NodeHashEngine());
  try {
    const infos: PathInfo[] = [];
    for (const storePath of positionals) infos.push(await requirePathInfo(store.pathInfos, storePath, { signal }));
    const all = values.recursive ? await closureOf(store.pathInfos, positionals, { signal }) : once(infos);
    if (values.json || values["json-format"] !== undefined) {
      await writeOut(context.stdout, `${JSON.stringify(pathInfosToJson(all, format))}\n`);
    } else {
      for (const { storePath } of all) await writeOut(context.stdout, `${storePath}\n`);
    }
  } finally {
    await store.close();
  }
}

function once(infos: readonly PathInfo[]): PathInfo[] {
  return [...new Map(infos.map((info) => [info.storePath, info])).values()];
}
