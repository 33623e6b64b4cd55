import { quote } from "../../bytes.ts";
import { StoreError } from "../../error.ts";
import { parseNarName } from "./put-nar.ts";

/**
 * The index of debug information. With `index-debug-info=true`, Nix puts one JSON file
 * `debuginfo/<build id>.debug` for each file of debug information. It names the NAR that contains
 * the file, and the file's path in it. A debugger looks it up by the program's build id.
 */

/** Length of the longest index file that is accepted, in bytes. */
export const DEBUG_INFO_MAX_LENGTH = 64 * 1024;

/** A build id usually has 40 hexadecimal digits, but linkers can make it shorter or longer. */
const NAME = /^[0-9a-f]{2,128}(?:\.debug)?$/;

export function isDebugInfoName(name: string): boolean {
  return NAME.test(name);
}

/**
 * @throws StoreError `invalid` if `text` doesn't name a NAR of this cache and a file in it
 */
export function checkDebugInfo(text: string): void {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new StoreError("invalid", "the debug information is not JSON", { cause });
  }
  const { archive, member } = typeof json === "object" && json !== null ? (json as Readonly<Record<string, unknown>>) : {};
  if (typeof archive !== "string" || !archive.startsWith("../nar/") || !parseNarName(archive.slice("../nar/".length)))
    throw new StoreError("invalid", `the archive of the debug information is not a NAR of this cache: ${quote(String(archive))}`);
  if (typeof member !== "string" || !member.split("/").every((part) => part !== "" && part !== "." && part !== ".."))
    throw new StoreError("invalid", `the member of the debug information is not a relative path: ${quote(String(member))}`);
}
