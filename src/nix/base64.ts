import { fromBase64, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * Reads Base64 as Nix does: the text ends at the first `=`, so padding may be missing, and text
 * behind it is ignored. Line ends are skipped, and bits that fill no byte are dropped. Other
 * characters are faults, and so are those of the URL alphabet.
 *
 * @throws StoreError `invalid`
 */
export function decodeNixBase64(text: string): Uint8Array {
  const [start = ""] = text.split("=", 1);
  const digits = start.replaceAll("\n", "");
  if (!/^[A-Za-z0-9+/]*$/.test(digits)) throw new StoreError("invalid", `not base64: ${quote(text)}`);
  const length = Math.floor((digits.length * 6) / 8);
  // "A" is zero bits. They fill the group of four digits up, and the bytes they add are cut off.
  return fromBase64(digits.padEnd(Math.ceil(digits.length / 4) * 4, "A")).slice(0, length);
}
