import { readdirSync } from "node:fs";
import { readFile } from "node:fs/promises";
import unbzip2Stream from "unbzip2-stream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { formatDerivation, parseDerivation } from "../../src/nix/derivation-file.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { ReferenceScanner } from "../../src/nix/reference-scanner.ts";
import { pseudoRandom } from "../conformance/content.ts";
import { cut } from "../hash/fastcdc-reference.ts";
import { type Bench, isWanted, OURS, type Report, type Row, RUNTIMES } from "./bench.ts";
import { withFigures } from "./figures.ts";
import { compressedFiles } from "./formats/compressed-files.ts";
import { derivationFiles, hashParts, narInfoFiles, program, text } from "./formats/data.ts";
import { decodersWith, unbzip2 } from "./formats/decoders.ts";
import { bench as formats } from "./formats.bench.ts";
import { cutAll, cutAllByHalves } from "./hashing/fastcdc-peer.ts";
import { bench } from "./hashing.bench.ts";
import { parse } from "./main.ts";
import { type Contender, measure, measurePairs, median, spread } from "./measure.ts";
import { filePath, smallFile, smallFiles } from "./storage/small-files.ts";
import { bench as storage } from "./storage.bench.ts";
import { bench as substitution } from "./substitution.bench.ts";
import { cells, markdown, outcomes } from "./table.ts";
import { bench as uploads } from "./uploads.bench.ts";

function row(contender: string, median: number, more: Partial<Row> = {}): Row {
  return { case: "blake3 1KiB", runtime: "chromium", workers: 1, contender, median, unit: "MB/s", runs: 5, ...more };
}

describe("the median", () => {
  test("of an odd number is the one in the middle, of an even one between two", () => {
    expect(median([9, 1, 10])).toBe(9);
    expect(median([10, 1, 2, 9])).toBe(5.5);
  });

  test("is reported between the minimum and the maximum", () => {
    expect(spread([2.72, 13.98761, 3.1])).toEqual({ minimum: 2.72, median: 3.1, maximum: 13.99, runs: 3 });
  });
});

describe("measuring", () => {
  const idle = (name: string, result: number): Contender => ({ name, run: () => result });

  test("contenders whose results differ are refused", async () => {
    await expect(measure([idle("a", 1), idle("b", 2)], { rounds: 1 })).rejects.toThrow("b and a differ");
  });

  describe("by a clock that work alone moves", () => {
    let clock = 0;
    const taking = (ms: number, more: Partial<Contender> = {}): Contender => ({
      name: `${ms}`,
      run() {
        clock += ms;
        return 0;
      },
      ...more,
    });
    beforeEach(() => {
      vi.spyOn(performance, "now").mockImplementation(() => clock);
    });
    afterEach(() => {
      vi.restoreAllMocks();
    });

    test("each has a duration a round, of the work done once", async () => {
      const [one, half] = await measure([taking(20), taking(20, { times: 2 })], { rounds: 3 });
      expect(one?.durations).toEqual([20, 20, 20]);
      expect(half?.durations).toEqual([10, 10, 10]);
    });

    test("a pair's difference has the sign of what the other one costs more, whichever comes first", async () => {
      expect(await measurePairs(taking(5), taking(10), 4)).toEqual([100, 100, 100, 100]);
      expect(await measurePairs(taking(10), taking(5), 4)).toEqual([-50, -50, -50, -50]);
    });
  });
});

describe("the table", () => {
  test("tells how many times ours is of each other one in the same runtime", () => {
    const rows = [row("tvix-store-web", 600), row("hash-wasm", 300), row("hash-wasm", 200, { runtime: "node" })];
    expect(cells([...rows, row("tvix-store-web", 500, { runtime: "node" })])).toEqual([
      ["case", "contender", "chromium", "node"],
      ["blake3 1KiB", "tvix-store-web", "600 MB/s", "500 MB/s"],
      ["", "hash-wasm", "300 MB/s (2.00 x)", "200 MB/s (2.50 x)"],
    ]);
  });

  test("tells the same of what takes time", () => {
    const seconds = (contender: string, median: number) => row(contender, median, { unit: "s" });
    expect(cells([seconds("tvix-store-web", 3), seconds("native", 2)]).map((line) => line.at(-1))).toEqual([
      "chromium",
      "3.00 s",
      "2.00 s (1.50 x)",
    ]);
  });

  test("has the minimum and the maximum around the median, if they differ", () => {
    const seconds = (contender: string, more: Partial<Row>) => row(contender, 4, { unit: "s", ...more });
    const rows = [seconds("tvix-store-web", { minimum: 4, maximum: 4 }), seconds("native", { minimum: 2.7, maximum: 14 })];
    expect(cells(rows).map((line) => line.at(-1))).toEqual(["chromium", "4.00 s", "2.70 / 4.00 / 14.00 s (1.00 x)"]);
  });

  test("compares numbers of workers with the largest one", () => {
    const rows = [row("tvix-store-web", 1000), row("tvix-store-web", 1600, { workers: 2 })];
    expect(cells(rows).map(([, ...rest]) => rest)).toEqual([
      ["contender", "chromium"],
      ["tvix-store-web, 1 worker", "1000 MB/s (1.60 x)"],
      ["tvix-store-web, 2 workers", "1600 MB/s"],
    ]);
  });
});

describe("requirements", () => {
  const faster = { case: "blake3 1KiB", against: "hash-wasm", ratio: 1.8 };

  test("are met at their limit and not below, and only Chromium counts", () => {
    const node = row("hash-wasm", 1, { runtime: "node" });
    expect(outcomes([faster], [node, row("tvix-store-web", 180), row("hash-wasm", 100)])).toMatchObject([{ met: true }]);
    expect(outcomes([faster], [node, row("tvix-store-web", 179), row("hash-wasm", 100)])).toMatchObject([{ met: false }]);
  });

  test("against ours with one worker are about the one with more", () => {
    const parallel = { case: "blake3 1KiB", against: "tvix-store-web", ratio: 1.5 };
    const two = row("tvix-store-web", 1400, { workers: 2 });
    expect(outcomes([parallel], [row("tvix-store-web", 1000), two])).toMatchObject([{ met: false }]);
    expect(outcomes([parallel], [row("tvix-store-web", 900), two])).toMatchObject([{ met: true }]);
  });

  test("can be a bound", () => {
    const bound = { case: "outboard cost", atMost: 2 };
    const cost = (percent: number) => row("tvix-store-web", percent, { case: "outboard cost", unit: "%" });
    expect(outcomes([bound], [cost(1.9)])).toMatchObject([{ met: true }]);
    expect(outcomes([bound], [cost(2.1)])).toMatchObject([{ met: false }]);
    const speed = { case: "blake3 1KiB", atLeast: 1000 };
    expect(outcomes([speed], [row("tvix-store-web", 1000)])).toMatchObject([{ met: true }]);
    expect(outcomes([speed], [row("tvix-store-web", 999)])).toMatchObject([{ met: false }]);
  });

  test("against several are about the slowest of them", () => {
    const part = { case: "blake3 1KiB", against: ["sha256", "write"], ratio: 0.8 };
    const parts = [row("sha256", 100), row("write", 50)];
    expect(outcomes([part], [row("tvix-store-web", 40), ...parts])).toMatchObject([{ met: true }]);
    expect(outcomes([part], [row("tvix-store-web", 39), ...parts])).toMatchObject([{ met: false }]);
    expect(outcomes([part], [row("tvix-store-web", 99), row("write", 50)])).toMatchObject([{ met: false }]);
  });

  test("can be times of what another one takes, or ours in another case", () => {
    const seconds = (contender: string, median: number, name = "import") => row(contender, median, { case: name, unit: "s" });
    const native = { case: "import", against: "native", times: 1.5 };
    expect(outcomes([native], [seconds("tvix-store-web", 3), seconds("native", 2)])).toMatchObject([{ met: true }]);
    expect(outcomes([native], [seconds("tvix-store-web", 3.1), seconds("native", 2)])).toMatchObject([{ met: false }]);
    expect(outcomes([native], [seconds("tvix-store-web", 1)])).toMatchObject([{ met: false }]);
    const best = { ...native, times: 1, best: true };
    const varied = { ...seconds("native", 9), minimum: 3, maximum: 14 };
    expect(outcomes([best], [seconds("tvix-store-web", 3), varied])).toMatchObject([{ met: true }]);
    expect(outcomes([best], [seconds("tvix-store-web", 3.1), varied])).toMatchObject([{ met: false }]);
    expect(outcomes([best], [seconds("tvix-store-web", 1), seconds("native", 9)])).toMatchObject([{ met: false }]);
    const growth = { case: "import", againstCase: "few", times: 1.2 };
    expect(outcomes([growth], [seconds("tvix-store-web", 12), seconds("tvix-store-web", 10, "few")])).toMatchObject([
      { met: true },
    ]);
    expect(outcomes([growth], [seconds("tvix-store-web", 13), seconds("tvix-store-web", 10, "few")])).toMatchObject([
      { met: false },
    ]);
    expect(outcomes([growth], [seconds("tvix-store-web", 12)])).toMatchObject([{ met: false }]);
  });

  test("of cases that did not run are left out, and a peer that did not is a failure", () => {
    expect(outcomes([faster], [row("tvix-store-web", 1, { case: "fastcdc" })])).toEqual([]);
    expect(outcomes([faster], [row("tvix-store-web", 1)])).toMatchObject([{ met: false }]);
  });

  test("the module's size is within its limits", () => {
    expect(bench.facts().filter(({ met }) => !met)).toEqual([]);
  });
});

test("a case is wanted by a part of its name, unless it is skipped by another one", () => {
  expect(["tree nar", "tree tar", "growth"].filter((name) => isWanted(name, { filter: "tree", skip: "tar" }))).toEqual([
    "tree nar",
  ]);
  expect(isWanted("growth", { filter: "" })).toBe(true);
});

test("generated files differ from each other, and are where their index says", () => {
  const contents = new Set(Array.from({ length: 5000 }, (_, i) => Buffer.from(smallFile(i)).toString("latin1")));
  expect(contents.size).toBe(5000);
  const lengths = [...contents].map(({ length }) => length);
  expect(Math.min(...lengths)).toBeGreaterThanOrEqual(200);
  expect(median(lengths)).toBeGreaterThan(1200);
  expect(Math.max(...lengths)).toBeLessThan(2662);
  const paths = Array.from({ length: 1000 }, (_, i) => filePath(i, smallFiles(1000)));
  expect(new Set(paths).size).toBe(1000);
  expect([...paths].sort()).toEqual(paths);
});

test("the command's arguments", () => {
  const names = ["hashing"];
  expect(parse(["hashing"], names)).toMatchObject({ name: "hashing", whole: true, options: { filter: "", rounds: 15 } });
  expect(parse(["hashing", "--runtime", "node,chromium"], names)).toMatchObject({ runtimes: ["chromium", "node"], whole: false });
  expect(parse(["hashing", "--skip", "64MiB"], names)).toMatchObject({ whole: false, options: { skip: "64MiB" } });
  for (const wrong of [[], ["else"], ["hashing", "x"], ["hashing", "--runtime", "safari"], ["hashing", "--rounds", "0"], ["--x"]]) {
    expect(parse(wrong, names), wrong.join(" ")).toBeTypeOf("string");
  }
});

test("the loops that the kernel's cutting is compared with cut where the reference does", () => {
  for (const length of [0, 1, 128 * 1024 + 1, 300_001, 5_000_003]) {
    const bytes = pseudoRandom(length, length);
    const lengths: number[] = [];
    for (let start = 0; start < length; start += lengths.at(-1) as number) lengths.push(cut(bytes, start, length));
    expect(cutAll(bytes)).toEqual(lengths);
    expect(cutAllByHalves(bytes)).toEqual(lengths);
  }
});

test("what formats are measured with is what it says", () => {
  expect(Math.max(...narInfoFiles(50).map((file) => parseNarInfo(file).references.length))).toBeGreaterThan(15);
  for (const file of derivationFiles(50)) expect(formatDerivation(parseDerivation(file, "bench"))).toEqual(file);
  for (const content of [program(100_000), text(100_000)]) {
    const scanner = new ReferenceScanner(hashParts(300));
    scanner.push(content);
    expect([...scanner.found]).toEqual(hashParts(1));
  }
});

describe("the decoders that are compared", () => {
  const decoders = decodersWith({ bzip2: [unbzip2(unbzip2Stream)] });

  test.each([
    ["gzip", "numbers.gz", ["DecompressionStream"]],
    ["bzip2", "numbers.bz2", ["unbzip2-stream"]],
    ["xz", "numbers.xz", ["xz-decompress"]],
    ["zstd", "numbers.zst", ["fzstd"]],
    ["lz4", "numbers.lz4", []],
  ] as const)("decode %s", async (compression, name, peers) => {
    const bytes = new Uint8Array(await readFile(`test/compression/samples/${name}`));
    expect(decoders[compression].map(({ name }) => name)).toEqual([OURS, ...peers]);
    for (const { decode } of decoders[compression]) expect(await decode(bytes)).toBe(138_894);
  });

  test("get no files if no format is wanted", async () => {
    expect((await compressedFiles({ filter: "narinfos", rounds: 1 })).size).toBe(0);
  });
});

const BENCHES: Readonly<Record<string, Bench>> = { formats, hashing: bench, storage, substitution, uploads };
const PUBLISHED = readdirSync("test/bench/results").map((file) => file.replace(/\.json$/, ""));

describe.each(PUBLISHED)("what is published of %s", (name) => {
  const published = async (): Promise<Report> => JSON.parse(await readFile(`test/bench/results/${name}.json`, "utf8"));

  test("the document has the figures of the results", async () => {
    const document = await readFile("docs/performance.md", "utf8");
    const report = await published();
    expect(withFigures(document, name, report)).toBe(document);
    expect(document).toContain(markdown(cells(report.rows)));
  });

  test("the results are whole: every case that is required, at least five measurements each", async () => {
    const { rows } = await published();
    const bench = BENCHES[name];
    const where = bench && "drive" in bench ? bench.runtime : "chromium";
    const measured = new Set(rows.filter(({ runtime }) => runtime === where).map((row) => row.case));
    expect(bench?.requirements.filter((requirement) => !measured.has(requirement.case))).toEqual([]);
    // The maximum of memory is not a median.
    const few = rows.filter(({ runs, unit }) => runs < 5 && unit !== "MiB");
    expect([...few, ...rows.filter(({ runtime }) => !RUNTIMES.includes(runtime))]).toEqual([]);
  });
});
