/** The cases of this benchmark, for any runtime. */

import { parseDerivation } from "../../../src/nix/derivation-file.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { ReferenceScanner } from "../../../src/nix/reference-scanner.ts";
import { isWanted, type Message, type Options, OURS, type Row, type Unit } from "../bench.ts";
import { type Contender, measure, median } from "../measure.ts";
import { derivationFiles, hashParts, narInfoFiles, program, text } from "./data.ts";

const COUNT = 1000;
const MB = 1e6;
const SCANNED = 32 * MB;
const PIECE = 64 * 1024;

interface Case {
  readonly name: string;
  readonly unit: Unit;
  /** Converts the milliseconds of one run of the work to the case's unit. */
  figure(ms: number): number;
  contender(): Contender;
}

const CASES: readonly Case[] = [
  {
    name: `${COUNT} narinfos`,
    unit: "ms",
    figure: (ms) => ms,
    contender() {
      const files = narInfoFiles(COUNT);
      return { name: OURS, run: () => files.reduce((sum, file) => sum + parseNarInfo(file).references.length, 0) };
    },
  },
  {
    name: `${COUNT} derivations`,
    unit: "ms",
    figure: (ms) => ms,
    contender() {
      const files = derivationFiles(COUNT);
      return { name: OURS, run: () => files.reduce((sum, file) => sum + parseDerivation(file, "bench").environment.size, 0) };
    },
  },
  scan("reference scan, program", program),
  scan("reference scan, text", text),
];

function scan(name: string, make: (length: number) => Uint8Array): Case {
  return {
    name,
    unit: "MB/s",
    figure: (ms) => SCANNED / MB / (ms / 1000),
    contender() {
      const content = make(SCANNED);
      // As many candidates as a typical closure has.
      const candidates = hashParts(300);
      return {
        name: OURS,
        run() {
          const scanner = new ReferenceScanner(candidates);
          for (let at = 0; at < content.length; at += PIECE) scanner.push(content.subarray(at, at + PIECE));
          return scanner.found.size;
        },
      };
    },
  };
}

/**
 * Runs the cases that the options select, and reports the results. Always ends with `done` or
 * `failed`.
 */
export async function runCases(options: Options, report: (message: Message) => void): Promise<void> {
  try {
    for (const { name, unit, figure, contender } of CASES) {
      if (!isWanted(name, options)) continue;
      for (const measured of await measure([contender()], options)) {
        const value = Number(median(measured.durations.map(figure)).toPrecision(4));
        const row: Omit<Row, "runtime"> = {
          case: name,
          workers: 1,
          contender: measured.contender.name,
          median: value,
          unit,
          runs: measured.durations.length,
        };
        report({ kind: "row", row });
      }
    }
    report({ kind: "done" });
  } catch (error) {
    report({ kind: "failed", reason: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) });
  }
}
