/** The numbers from 0 to `n - 1`. */
export const range = (n) => [...Array(n).keys()];

/** An unsigned number of 32 bits. */
export const hex = (x) => `0x${(x >>> 0).toString(16).padStart(8, "0")}`;
