import { quote } from "../../bytes.ts";
import { StoreError } from "../../error.ts";
import { parseNarName } from "./put-nar.ts";

/**
 * Nix (`index-debug-info=true`) writes for each file of debug information a JSON file `debuginfo/<build id>.debug`, which says in which
 * NAR the file is, and where. Debuggers find it by the build id of the program.
 */

/** Bytes of the longest one that is taken. */
export const DEBUG_INFO_MAX_LENGTH = 64 * 1024;

/** Hexadecimal digits of a build id: 40 as a rule. Linkers also make ids of 8 and 16 bytes, or what they are told. */
const NAME = /^[0-9a-f]{2,128}(?:\.debug)?$/;

export function isDebugInfoName(name: string): boolean {
  return NAME.test(name);
}

/** @throws StoreError `invalid` if `text` does not name a NAR of this cache, and a file in it */
export function checkDebugInfo(text: string): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new StoreError("invalid", "debug information that is not JSON", { cause });
  }
  const { archive, member } = typeof json === "object" && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
  if (typeof archive !== "string" || !archive.startsWith("../nar/") || !parseNarName(archive.slice("../nar/".length)))
    throw new StoreError("invalid", `debug information whose archive is no NAR of this cache: ${quote(String(archive))}`);
  if (typeof member !== "string" || !member.split("/").every((part) => part !== "" && part !== "." && part !== ".."))
    throw new StoreError("invalid", `debug information whose member is no path: ${quote(String(member))}`);
}
