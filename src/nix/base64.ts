import { decodeBase64, fromBase64, quote } from "../bytes.ts";
import { StoreError } from "../error.ts";

/**
 * Reads base64 as Nix does. The digits end at the first `=`, so padding may be missing, and any
 * text may follow it. Skips line ends, and drops bits that fill no byte. Refuses all other
 * characters, also those of the URL alphabet.
 *
 * @throws StoreError `invalid`
 */
export function decodeNixBase64(text: string): Uint8Array {
  // Nearly all texts have the standard form.
  const standard = decodeBase64(text);
  if (standard) return standard;
  const [start = ""] = text.split("=", 1);
  const digits = start.replaceAll("\n", "");
  if (!/^[A-Za-z0-9+/]*$/.test(digits)) throw new StoreError("invalid", `not base64: ${quote(text)}`);
  const length = Math.floor((digits.length * 6) / 8);
  // The digit "A" is zero bits. It completes the last group, and the slice drops the extra bytes.
  return fromBase64(digits.padEnd(Math.ceil(digits.length / 4) * 4, "A")).slice(0, length);
}
