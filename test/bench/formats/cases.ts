/** The cases of this benchmark, for any runtime. */

import { parseDerivation } from "../../../src/nix/derivation-file.ts";
import { parseNarInfo } from "../../../src/nix/narinfo.ts";
import { ReferenceScanner } from "../../../src/nix/reference-scanner.ts";
import { isWanted, type Message, type Options, OURS, type Row, type Unit } from "../bench.ts";
import { type Contender, measure, median } from "../measure.ts";
import { derivationFiles, hashParts, narInfoFiles, program, text } from "./data.ts";
import { COMPRESSED, type Compressed, type Decoders } from "./decoders.ts";

const COUNT = 1000;
const MB = 1e6;
const SCANNED = 32 * MB;
const PIECE = 64 * 1024;

/** Length of the content that is decoded, in bytes. */
export const CONTENT_LENGTH = 8_000_000;

/** Name of the file with brotli-dec-wasm's WebAssembly module. */
export const BROTLI_MODULE = "brotli.wasm";

/** Parts that differ between runtimes. */
export interface Platform {
  /** Reads a file that the benchmark made. */
  read(name: string): Promise<Uint8Array>;
  readonly decoders: Decoders;
}

interface Case {
  readonly name: string;
  readonly unit: Unit;
  contenders(platform: Platform): Promise<Contender[]> | Contender[];
  /** Converts the milliseconds of one run of the work to the case's unit. */
  figure(ms: number): number;
}

/** Name of the case that decodes a format. */
export function decodeCase(compression: Compressed): string {
  return `decode ${compression}`;
}

const CASES: readonly Case[] = [
  {
    name: `${COUNT} narinfos`,
    unit: "ms",
    figure: (ms) => ms,
    contenders() {
      const files = narInfoFiles(COUNT);
      return [{ name: OURS, run: () => files.reduce((sum, file) => sum + parseNarInfo(file).references.length, 0) }];
    },
  },
  {
    name: `${COUNT} derivations`,
    unit: "ms",
    figure: (ms) => ms,
    contenders() {
      const files = derivationFiles(COUNT);
      return [{ name: OURS, run: () => files.reduce((sum, file) => sum + parseDerivation(file, "bench").environment.size, 0) }];
    },
  },
  scan("reference scan, program", program),
  scan("reference scan, text", text),
  ...COMPRESSED.map(decode),
];

function decode(compression: Compressed): Case {
  return {
    name: decodeCase(compression),
    unit: "MB/s",
    figure: (ms) => CONTENT_LENGTH / MB / (ms / 1000),
    async contenders({ read, decoders }) {
      const bytes = await read(compression);
      return decoders[compression].map(({ name, decode }) => ({
        name,
        async run() {
          const length = await decode(bytes);
          if (length !== CONTENT_LENGTH) throw new Error(`${name} gives ${length} bytes of ${compression}`);
          return length;
        },
      }));
    },
  };
}

function scan(name: string, make: (length: number) => Uint8Array): Case {
  return {
    name,
    unit: "MB/s",
    figure: (ms) => SCANNED / MB / (ms / 1000),
    contenders() {
      const content = make(SCANNED);
      // As many candidates as a typical closure has.
      const candidates = hashParts(300);
      const run = (): number => {
        const scanner = new ReferenceScanner(candidates);
        for (let at = 0; at < content.length; at += PIECE) scanner.push(content.subarray(at, at + PIECE));
        return scanner.found.size;
      };
      return [{ name: OURS, run }];
    },
  };
}

/**
 * Runs the cases that the options select, and reports the results. Always ends with `done` or
 * `failed`.
 */
export async function runCases(options: Options, report: (message: Message) => void, platform: Platform): Promise<void> {
  try {
    for (const { name, unit, figure, contenders } of CASES) {
      if (!isWanted(name, options)) continue;
      for (const measured of await measure(await contenders(platform), options)) {
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
