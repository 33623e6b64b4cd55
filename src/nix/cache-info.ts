import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { STORE_DIR } from "./store-path.ts";

/** A binary cache's description of itself, in the file `nix-cache-info`. */
export interface CacheInfo {
  readonly storeDir: string;
  /** Whether clients may ask for many paths at once. */
  readonly wantMassQuery: boolean;
  /**
   * Caches with a lower number are asked first. Nix assumes 50 if it is missing; cache.nixos.org
   * has 40.
   */
  readonly priority?: number | undefined;
}

/** Maximum length of the file, in characters. */
export const CACHE_INFO_MAX_LENGTH = 64 * 1024;

/**
 * Reads a `nix-cache-info` file. Ignores tags that Nix does not know.
 *
 * @throws StoreError `invalid`
 */
export function parseCacheInfo(text: string): CacheInfo {
  if (text.length > CACHE_INFO_MAX_LENGTH) throw new StoreError("invalid", "nix-cache-info: the file is too long");
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon <= 0) throw new StoreError("invalid", `nix-cache-info: a line is not of the form "Tag: value": ${quote(line)}`);
    fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const priority = fields.get("Priority");
  if (priority !== undefined && !/^-?[0-9]{1,9}$/.test(priority))
    throw new StoreError("invalid", `nix-cache-info: Priority is not a number: ${quote(priority)}`);
  return {
    storeDir: fields.get("StoreDir") ?? STORE_DIR,
    wantMassQuery: fields.get("WantMassQuery") === "1",
    priority: priority === undefined ? undefined : Number(priority),
  };
}

/** Writes a `nix-cache-info` file as Nix does. */
export function formatCacheInfo({ storeDir, wantMassQuery, priority }: CacheInfo): string {
  const lines = [`StoreDir: ${storeDir}`, `WantMassQuery: ${wantMassQuery ? 1 : 0}`];
  if (priority !== undefined) lines.push(`Priority: ${priority}`);
  return lines.map((line) => `${line}\n`).join("");
}
