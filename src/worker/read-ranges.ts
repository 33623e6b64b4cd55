import type { ByteRange } from "../byte-range.ts";

/** Ranges with at most this many bytes between them are read together. */
const GAP = 16 * 1024;
/** Maximum bytes of one read, unless a single range is longer. */
const MAX_RUN = 2 * 1024 * 1024;

/**
 * Reads ranges, and joins those that are close together into one read. For storage in which each
 * read is expensive.
 *
 * @returns a view for each range, in the order of `ranges`
 */
export async function coalesced(
  ranges: readonly ByteRange[],
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const order = ranges.map((_, i) => i).sort((a, b) => (ranges[a] as ByteRange).offset - (ranges[b] as ByteRange).offset);
  const runs: { start: number; end: number; members: number[] }[] = [];
  for (const i of order) {
    const { offset, length } = ranges[i] as ByteRange;
    const end = offset + length;
    const last = runs.at(-1);
    if (last && offset <= last.end + GAP && Math.max(end, last.end) - last.start <= MAX_RUN) {
      last.end = Math.max(end, last.end);
      last.members.push(i);
    } else {
      runs.push({ start: offset, end, members: [i] });
    }
  }
  const answer = new Array<Uint8Array>(ranges.length);
  await Promise.all(
    runs.map(async ({ start, end, members }) => {
      const bytes = await read(start, end - start);
      for (const i of members) {
        const { offset, length } = ranges[i] as ByteRange;
        answer[i] = bytes.subarray(offset - start, offset - start + length);
      }
    }),
  );
  return answer;
}
