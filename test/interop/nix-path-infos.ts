import { isNixFrom, nix } from "../setup/tools.ts";

export type ShownPathInfo = Readonly<Record<string, unknown>>;

/**
 * Runs `nix path-info --json`, and returns its output in one form for all versions of Nix: a list,
 * as Nix 2.8 writes it. Later versions write an object by path. In it, fields that 2.8 leaves out
 * are null or empty.
 */
export async function nixPathInfos(args: readonly string[], dir: string): Promise<ShownPathInfo[]> {
  const format = (await isNixFrom(2, 34)) ? ["--json-format", "1"] : [];
  const json: unknown = JSON.parse((await nix(["nix", "path-info", "--json", ...format, ...args], { dir })).toString());
  const infos = Array.isArray(json) ? json : Object.entries(json as object).map(([path, info]) => ({ path, ...info }));
  return infos.map(withoutEmpty).sort((a, b) => (String(a.path) < String(b.path) ? -1 : 1));
}

function withoutEmpty({ version: _version, storeDir: _storeDir, ...info }: Record<string, unknown>): ShownPathInfo {
  const isEmpty = (name: string, value: unknown) =>
    value === null || (name === "signatures" && Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(info).filter(([name, value]) => !isEmpty(name, value)));
}
