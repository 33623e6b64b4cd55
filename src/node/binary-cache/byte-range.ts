import type { ByteRange } from "../../byte-range.ts";

/**
 * Parses a `Range` header (RFC 9110, 14.2) for content of `size` bytes. Ignores headers with
 * another unit or with several ranges, as RFC 9110 permits: the whole content is then sent.
 *
 * @returns `undefined` for the whole content; `"unsatisfiable"` if the range begins after the end
 */
export function parseByteRange(header: string | undefined, size: number): ByteRange | "unsatisfiable" | undefined {
  const [, first, last] = /^bytes=\s*(\d{0,16})-(\d{0,16})\s*$/i.exec(header ?? "") ?? [];
  if (first === undefined || last === undefined || (first === "" && last === "")) return undefined;
  if (first === "") {
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { offset: size - length, length };
  }
  const offset = Number(first);
  const end = last === "" ? size : Math.min(Number(last) + 1, size);
  if (last !== "" && Number(last) < offset) return undefined;
  return offset >= size ? "unsatisfiable" : { offset, length: end - offset };
}
