const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/** Formats a number of bytes: `812 B`, `3.4 KiB`, `17 MiB`. */
export function showSize(bytes: number | bigint): string {
  let size = Number(bytes);
  let unit = 0;
  while (size >= 1024 && unit < UNITS.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const digits = unit > 0 && size < 10 ? 1 : 0;
  return `${size.toFixed(digits)} ${UNITS[unit]}`;
}

/** Formats a whole number with the thousands separators of the reader's language. */
export function showCount(count: number | bigint): string {
  return count.toLocaleString();
}

/** Formats a number with its noun: `1 path`, `2,000 paths`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${showCount(count)} ${count === 1 ? one : many}`;
}
