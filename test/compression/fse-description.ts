import { type Field, packLowFirst } from "./bits.ts";

/**
 * Writes the description of a table (RFC 8878, 4.1.1), as an encoder does.
 *
 * @param counts number of states of each symbol; -1 for "less than one"
 */
export function describeFse(counts: readonly number[], log: number): Uint8Array {
  const fields: Field[] = [[log - 5, 4]];
  let remaining = 2 ** log;
  for (let symbol = 0; symbol < counts.length; ) {
    const value = (counts[symbol] as number) + 1;
    const width = 32 - Math.clz32(remaining + 1);
    const short = 2 ** width - 2 - remaining;
    if (value < short) fields.push([value, width - 1]);
    else if (value < 2 ** (width - 1)) fields.push([value, width]);
    else fields.push([value + short, width]);
    remaining -= Math.abs(value - 1);
    symbol++;
    if (value !== 1) continue;
    // Zeros after a zero are counted in groups of up to three.
    let zeros = 0;
    while (counts[symbol] === 0) {
      zeros++;
      symbol++;
    }
    for (; zeros >= 3; zeros -= 3) fields.push([3, 2]);
    fields.push([zeros, 2]);
  }
  return packLowFirst(fields);
}
