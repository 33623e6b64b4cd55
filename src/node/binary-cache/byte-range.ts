export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/**
 * The part of `size` bytes that a `Range` header asks for (RFC 9110, 14.2). What is no range of bytes, or several, is passed over, as a server
 * may: then all is sent.
 *
 * @returns `undefined` for all; `"unsatisfiable"` if the range begins after the end
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
