import { expect, test } from "vitest";
import { parse } from "./main.ts";
import { Random } from "./random.ts";
import { emptyTally, sumOf, type Tally, vacuity } from "./verdict.ts";

function tally(part: Partial<Tally>): Tally {
  return { ...emptyTally(), operations: 100, acknowledged: 50, ...part };
}

const EVERYTHING = { import: 10, pull: 10, delete: 1, collect: 10 };

test("a run whose kills hit something proves something", () => {
  expect(vacuity(tally({ kills: 100, hits: 40, hitsByKind: EVERYTHING }), 100)).toEqual([]);
  expect(vacuity(tally({ kills: 6, hits: 2 }), 6)).toEqual([]);
});

test("a run whose kills hit too little fails", () => {
  expect(vacuity(tally({ kills: 100, hits: 33, hitsByKind: EVERYTHING }), 100)).toHaveLength(1);
  expect(vacuity(tally({ kills: 100, hits: 90, hitsByKind: { ...EVERYTHING, collect: 0 } }), 100)).toHaveLength(1);
});

test("a run that ended early, or had nothing acknowledged, fails", () => {
  expect(vacuity(tally({ kills: 99, hits: 90, hitsByKind: EVERYTHING }), 100)).toHaveLength(1);
  expect(vacuity(tally({ kills: 10, hits: 10, acknowledged: 0 }), 10)).toHaveLength(1);
  expect(vacuity(emptyTally(), 1)).not.toEqual([]);
});

test("losses of every run count", () => {
  expect(sumOf([tally({ losses: 1, kills: 2 }), tally({ losses: 2, kills: 3 })])).toMatchObject({ losses: 3, kills: 5 });
});

test("arguments choose runs", () => {
  const runs = (...args: string[]) => {
    const request = parse(args);
    if (typeof request === "string") throw new Error(request);
    return request.runs.map(({ browser, storage, kills, asked }) => `${browser} ${storage} ${kills}${asked ? "" : " if there"}`);
  };
  expect(runs()).toEqual(["chromium opfs 100", "chromium indexeddb 20", "firefox opfs 20 if there"]);
  expect(runs("--browser", "firefox", "--kills", "3")).toEqual(["firefox opfs 3"]);
  expect(runs("--storage", "indexeddb")).toEqual(["chromium indexeddb 20"]);
  expect(runs("--browser", "firefox", "--storage", "indexeddb")).toEqual(["firefox indexeddb 20"]);
  for (const bad of [["--kills", "0"], ["--seed", "x"], ["--browser", "lynx"], ["--storage", "tape"], ["more"]])
    expect(parse(bad)).toBeTypeOf("string");
});

test("a seed gives the same numbers again, and another seed others", () => {
  const numbers = (...seed: number[]) => {
    const random = new Random(...seed);
    return Array.from({ length: 8 }, () => random.whole(0, 1_000_000));
  };
  expect(numbers(1, 2)).toEqual(numbers(1, 2));
  expect(numbers(1, 2)).not.toEqual(numbers(1, 3));
  expect(numbers(1, 2)).not.toEqual(numbers(2, 1));
});
