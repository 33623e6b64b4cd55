/** A number, and how many bits it takes. */
export type Field = readonly [value: number, bits: number];

const text = (fields: Iterable<Field>): string =>
  Array.from(fields, ([value, bits]) => (bits === 0 ? "" : value.toString(2).padStart(bits, "0"))).join("");
const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length / 8 }, (_, i) => Number.parseInt(text.slice(8 * i, 8 * i + 8), 2));
const toWhole = (length: number): number => 8 * Math.ceil(length / 8);

/** Packs numbers as bzip2 does: the highest bit first. Zeros fill the last byte. */
export function packHighFirst(fields: Iterable<Field>): Uint8Array {
  const bits = text(fields);
  return bytesOf(bits.padEnd(toWhole(bits.length), "0"));
}

/**
 * Packs numbers as descriptions of zstd's tables do: the lowest bit first. Zeros fill the last
 * byte.
 */
export function packLowFirst(fields: Iterable<Field>): Uint8Array {
  const bits = text([...fields].reverse());
  return bytesOf(bits.padStart(toWhole(bits.length), "0")).reverse();
}

/**
 * Packs numbers into a bitstream of zstd, which is read from its end and begins there with a mark.
 */
export function packBackward(fields: Iterable<Field>): Uint8Array {
  const bits = `1${text(fields)}`;
  return bytesOf(bits.padStart(toWhole(bits.length), "0")).reverse();
}
