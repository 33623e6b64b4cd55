import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { STORE_DIR } from "./store-path.ts";

/** What a binary cache says of itself in the file `nix-cache-info`. */
export interface CacheInfo {
  readonly storeDir: string;
  /** Whether it may be asked for many paths at once. */
  readonly wantMassQuery: boolean;
  /** Lower is asked first; Nix takes 50 where a cache says nothing, 40 is that of cache.nixos.org. */
  readonly priority?: number | undefined;
}

/** Characters of the longest file that is read. */
export const CACHE_INFO_MAX_LENGTH = 64 * 1024;

/** Reads a `nix-cache-info` file. Tags that Nix does not know are ignored. @throws StoreError `invalid` */
export function parseCacheInfo(text: string): CacheInfo {
  if (text.length > CACHE_INFO_MAX_LENGTH) throw new StoreError("invalid", "nix-cache-info: too long");
  const fields = new Map<string, string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const colon = line.indexOf(":");
    if (colon <= 0) throw new StoreError("invalid", `nix-cache-info: not a line of a tag and a value: ${quote(line)}`);
    fields.set(line.slice(0, colon), line.slice(colon + 1).trim());
  }
  const priority = fields.get("Priority");
  if (priority !== undefined && !/^-?[0-9]{1,9}$/.test(priority))
    throw new StoreError("invalid", `nix-cache-info: Priority is no number: ${quote(priority)}`);
  return {
    storeDir: fields.get("StoreDir") ?? STORE_DIR,
    wantMassQuery: fields.get("WantMassQuery") === "1",
    priority: priority === undefined ? undefined : Number(priority),
  };
}

/** Writes a `nix-cache-info` file, as Nix does. */
export function formatCacheInfo({ storeDir, wantMassQuery, priority }: CacheInfo): string {
  const lines = [`StoreDir: ${storeDir}`, `WantMassQuery: ${wantMassQuery ? 1 : 0}`];
  if (priority !== undefined) lines.push(`Priority: ${priority}`);
  return lines.map((line) => `${line}\n`).join("");
}
