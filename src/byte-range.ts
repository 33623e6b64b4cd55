/** A range of bytes. */
export interface ByteRange {
  /** Number of bytes before the range. */
  readonly offset: number;
  /** Length in bytes. `Infinity` means up to the end, where a function allows it. */
  readonly length: number;
}
