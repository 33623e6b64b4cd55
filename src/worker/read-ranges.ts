import type { PackRange } from "./pack-store.ts";

/** Ranges that are this close together, in bytes, are read at once. */
const GAP = 16 * 1024;
/** What is read at once is no longer than this, unless one range is. */
const MAX_RUN = 2 * 1024 * 1024;

/** For storage whose reads cost much each: reads ranges that lie near one another together. The answers are views. */
export async function coalesced(
  ranges: readonly PackRange[],
  read: (offset: number, length: number) => Promise<Uint8Array>,
): Promise<Uint8Array[]> {
  const order = ranges.map((_, i) => i).sort((a, b) => (ranges[a] as PackRange).offset - (ranges[b] as PackRange).offset);
  const runs: { start: number; end: number; members: number[] }[] = [];
  for (const i of order) {
    const { offset, length } = ranges[i] as PackRange;
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
        const { offset, length } = ranges[i] as PackRange;
        answer[i] = bytes.subarray(offset - start, offset - start + length);
      }
    }),
  );
  return answer;
}
