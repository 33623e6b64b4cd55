import { isNixFrom, nix } from "../setup/tools.ts";

export type ShownPathInfo = Readonly<Record<string, unknown>>;

/**
 * What `nix path-info --json` says of paths, in one form for all versions of Nix: a list, as 2.8
 * writes it. Later versions write an object by path, with fields that are null or empty where 2.8
 * has none.
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
