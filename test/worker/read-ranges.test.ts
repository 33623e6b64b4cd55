import { describe, expect, test } from "vitest";
import { coalesced } from "../../src/worker/read-ranges.ts";

const GAP = 16 * 1024;
const MAX_RUN = 2 * 1024 * 1024;

/** Each byte tells its place. */
const CONTENT = new Uint8Array(MAX_RUN + 1000).map((_, i) => i % 251);

type Range = readonly [offset: number, length: number];

/** Reads ranges, and checks the content of each. @returns the reads, in their order */
async function read(...ranges: readonly Range[]): Promise<Range[]> {
  const reads: Range[] = [];
  const found = await coalesced(
    ranges.map(([offset, length]) => ({ offset, length })),
    async (offset, length) => {
      reads.push([offset, length]);
      return CONTENT.subarray(offset, offset + length);
    },
  );
  expect(found).toHaveLength(ranges.length);
  for (const [i, [offset, length]] of ranges.entries()) {
    const bytes = found[i] as Uint8Array;
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([
      length,
      length > 0 ? offset % 251 : undefined,
      length > 0 ? (offset + length - 1) % 251 : undefined,
    ]);
  }
  return reads;
}

describe("ranges are joined", () => {
  test("if at most 16 KiB lie between them", async () => {
    expect(await read([0, 10], [10 + GAP, 5])).toEqual([[0, 15 + GAP]]);
    expect(await read([0, 10], [11 + GAP, 5])).toEqual([
      [0, 10],
      [11 + GAP, 5],
    ]);
  });

  test("in any order, also if they overlap or repeat", async () => {
    expect(await read([50, 10], [0, 100], [90, 20], [0, 100], [30, 0])).toEqual([[0, 110]]);
  });

  test("up to 2 MiB", async () => {
    expect(await read([0, MAX_RUN - 1], [MAX_RUN - 1, 1])).toEqual([[0, MAX_RUN]]);
    expect(await read([0, MAX_RUN - 1], [MAX_RUN - 1, 2])).toEqual([
      [0, MAX_RUN - 1],
      [MAX_RUN - 1, 2],
    ]);
  });

  test("to a single longer range only if they lie in it", async () => {
    expect(await read([0, MAX_RUN + 1])).toEqual([[0, MAX_RUN + 1]]);
    expect(await read([0, MAX_RUN + 1], [10, 10])).toEqual([
      [0, MAX_RUN + 1],
      [10, 10],
    ]);
  });
});

test("no ranges need no read", async () => {
  expect(await read()).toEqual([]);
});

test("an error of a read is passed on", async () => {
  const problem = new Error("can't be read");
  await expect(coalesced([{ offset: 0, length: 1 }], () => Promise.reject(problem))).rejects.toBe(problem);
});
