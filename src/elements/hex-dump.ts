/** Number of bytes in a line. */
const WIDTH = 16;

/**
 * Formats bytes as `hexdump -C` does: each line has the offset, sixteen bytes in hexadecimal, and
 * the same bytes as ASCII.
 *
 * @param offset offset of the first byte within the file
 */
export function hexDump(bytes: Uint8Array, offset: number): string {
  const lines: string[] = [];
  const digits = offset + bytes.length > 0xffffffff ? 12 : 8;
  for (let start = 0; start < bytes.length; start += WIDTH) {
    const row = bytes.subarray(start, start + WIDTH);
    let hex = "";
    let text = "";
    for (let i = 0; i < WIDTH; i++) {
      const byte = row[i];
      hex += byte === undefined ? "   " : `${byte.toString(16).padStart(2, "0")} `;
      if (i === WIDTH / 2 - 1) hex += " ";
      if (byte !== undefined) text += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : ".";
    }
    lines.push(`${(offset + start).toString(16).padStart(digits, "0")}  ${hex} ${text}`);
  }
  return lines.join("\n");
}
