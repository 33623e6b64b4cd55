import { formatStorePath, parseStorePath, STORE_DIR } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";

/** What `nix path-info --json` says of a store path. Fields that say nothing are left out. */
export interface PathInfoJson {
  /** Absolute; not where the path infos are keyed by it. */
  readonly path?: string;
  /** SRI. */
  readonly narHash: string;
  readonly narSize: number;
  /** Absolute. */
  readonly references: readonly string[];
  readonly ca?: string;
  /** Absolute. */
  readonly deriver?: string;
  readonly signatures?: readonly string[];
}

/**
 * Path infos as Nix's JSON has them: `array`, as Nix wrote it up to 2.18, or `object` by their absolute paths, as it does since. When they
 * were registered is not known here, and not said. `parsePathGraph` reads both.
 */
export function pathInfosToJson(infos: readonly PathInfo[], form: "array"): PathInfoJson[];
export function pathInfosToJson(infos: readonly PathInfo[], form: "object"): Record<string, PathInfoJson>;
export function pathInfosToJson(
  infos: readonly PathInfo[],
  form: "array" | "object",
): PathInfoJson[] | Record<string, PathInfoJson> {
  if (form === "array") return infos.map((info) => ({ path: info.storePath, ...facts(info) }));
  return Object.fromEntries(infos.map((info) => [info.storePath, facts(info)]));
}

function facts({ narHash, narSize, references, ca, deriver, signatures }: PathInfo): PathInfoJson {
  return {
    narHash,
    narSize,
    references: references.map(absolute),
    ...(ca !== undefined && { ca }),
    ...(deriver !== undefined && { deriver: absolute(deriver) }),
    ...(signatures.length > 0 && { signatures }),
  };
}

function absolute(baseName: string): string {
  return formatStorePath(parseStorePath(baseName), STORE_DIR);
}
