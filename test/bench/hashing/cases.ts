/** The cases of this benchmark, for any runtime. */

import { blake3 as noble } from "@noble/hashes/blake3.js";
import { sha256 as nobleSha256 } from "@noble/hashes/sha2.js";
import { hash as jit, warmupSimd } from "blake3-jit";
import { createBLAKE3, createSHA256 } from "hash-wasm";
import type { HashEngine } from "../../../src/hash/engine.ts";
import { Kernel } from "../../../src/hash/kernel/kernel.ts";
import { Sha256Kernel } from "../../../src/hash/kernel/sha256.ts";
import { GROUP_SIZE } from "../../../src/hash/kernel/sizes.ts";
import { HashPool } from "../../../src/hash/pool.ts";
import { SUBTREE_SIZE } from "../../../src/hash/split-blake3.ts";
import { isWanted, type Message, type Options, OURS, type Row } from "../bench.ts";
import { type Contender, measure, measurePairs, median, type Result } from "../measure.ts";
import { cutAll, cutAllByHalves } from "./fastcdc-peer.ts";

/** Starts a hash worker. */
type Spawn = ConstructorParameters<typeof HashPool>[1];

/** Parts that differ between runtimes. */
export interface Platform {
  /** The library's engine for hashing in one thread of this runtime. */
  readonly engine: HashEngine;
  readonly spawn: Spawn | undefined;
  /** Further contenders of this runtime. */
  blake3(bytes: Uint8Array): Contender[];
  sha256(bytes: Uint8Array<ArrayBuffer>): Contender[];
}

const KIB = 1024;
const MIB = 1024 * KIB;
const SIZES: readonly [string, number][] = [
  ["1KiB", KIB],
  ["16KiB", 16 * KIB],
  ["1MiB", MIB],
  ["16MiB", 16 * MIB],
  ["64MiB", 64 * MIB],
];
/** Size of the pieces of streamed content, in bytes. */
const PIECE = 512 * KIB;
/**
 * Pairs and their size in `outboard cost`. It uses many short pairs, because the difference is
 * small.
 */
const PAIRS_PER_ROUND = 24;
const PAIR_BYTES = 16 * MIB;

/**
 * Runs the cases that the options select, and reports the results. Always ends with `done` or
 * `failed`.
 */
export async function runCases(options: Options, report: (message: Message) => void, platform: Platform): Promise<void> {
  try {
    const wanted = (await cases(platform)).filter(({ name }) => isWanted(name, options));
    for (const { name, bytes, contenders } of wanted) {
      const { list, close } = await contenders();
      for (const { contender, durations } of await measure(list, options)) {
        const speeds = durations.map((ms) => bytes / 1000 / ms);
        report({ kind: "row", row: row(name, contender, speeds, "MB/s") });
      }
      close?.();
    }
    if (isWanted("outboard cost", options)) report({ kind: "row", row: await outboardCost(options) });
    report({ kind: "done" });
  } catch (error) {
    report({ kind: "failed", reason: error instanceof Error ? `${error.message}\n${error.stack}` : String(error) });
  }
}

function row(name: string, contender: Contender, values: readonly number[], unit: Row["unit"]): Omit<Row, "runtime"> {
  const { name: contenderName, workers = 1 } = contender;
  return { case: name, workers, contender: contenderName, median: rounded(median(values)), unit, runs: values.length };
}

function rounded(value: number): number {
  return Number(value.toPrecision(4));
}

interface Case {
  readonly name: string;
  /** Bytes that one run of the work processes. */
  readonly bytes: number;
  contenders(): Promise<{ list: Contender[]; close?: () => void }>;
}

const data = pseudoRandom(64 * MIB);
const kernel = Kernel.create();
kernel.warm();

async function cases(platform: Platform): Promise<Case[]> {
  const hasher = await createBLAKE3();
  const sha256 = await createSHA256();
  await warmupSimd();
  const hashWasm = (bytes: Uint8Array) => hasher.init().update(bytes).digest("binary");

  const blake3 = SIZES.map(([size, length]): Case => {
    const bytes = data.subarray(0, length);
    return {
      name: `blake3 ${size}`,
      bytes: length,
      contenders: async () => ({
        list: [
          { name: OURS, run: () => kernel.blake3(bytes) },
          { name: "hash-wasm", run: () => hashWasm(bytes) },
          { name: "blake3-jit", run: () => jit(bytes) },
          { name: "@noble/hashes", run: () => noble(bytes) },
          ...platform.blake3(bytes),
        ],
      }),
    };
  });

  const blobs = smallBlobs(1024);
  const small: Case = {
    name: "blake3 small blobs",
    bytes: blobs.reduce((sum, { length }) => sum + length, 0),
    contenders: async () => ({
      list: [
        { name: OURS, run: () => kernel.blake3Many(blobs) },
        { name: "hash-wasm", run: () => blobs.map(hashWasm) },
        { name: "blake3-jit", run: () => blobs.map((blob) => jit(blob)) },
        { name: "@noble/hashes", run: () => blobs.map((blob) => noble(blob)) },
      ],
    }),
  };

  const { spawn } = platform;
  const parallel = spawn
    ? [parallelCase("16MiB", 16 * MIB, spawn), parallelCase("64MiB", 64 * MIB, spawn), copiedCase("64MiB", 64 * MIB, spawn)]
    : [];

  const cut: Case = {
    name: "fastcdc",
    bytes: 16 * MIB,
    contenders: async () => {
      const bytes = data.subarray(0, 16 * MIB);
      return {
        list: [
          { name: OURS, run: () => kernel.cutAll(bytes) },
          { name: "typescript loop, 32-bit halves", run: () => cutAllByHalves(bytes) },
          // The fastest loop that we could write, and faster than any other that we know of.
          { name: "typescript loop, 24 and 32 bits", run: () => cutAll(bytes) },
        ],
      };
    },
  };

  const cutAndHash: Case = {
    name: "cut+hash",
    bytes: data.length,
    contenders: async () => ({
      list: [
        { name: OURS, run: onePass },
        { name: "sum of parts", run: threeParts },
      ],
    }),
  };

  const outboard: Case = {
    name: "outboard 64MiB",
    bytes: data.length,
    contenders: async () => ({ list: [withOutboard(data), withoutOutboard(data)] }),
  };

  const sha: Case = {
    name: "sha256 64MiB",
    bytes: data.length,
    contenders: async () => ({
      list: [
        { name: OURS, run: () => ownSha256(platform.engine) },
        { name: "hash-wasm", run: () => sha256.init().update(data).digest("binary") },
        { name: "@noble/hashes", run: () => nobleSha256(data) },
        { name: "crypto.subtle", run: async () => new Uint8Array(await crypto.subtle.digest("SHA-256", data)) },
        ...platform.sha256(data),
      ],
    }),
  };

  const streamed: Case = {
    name: "sha256 streamed 64MiB",
    bytes: data.length,
    contenders: async () => {
      const own = Sha256Kernel.create();
      return {
        list: [
          { name: OURS, run: () => inPieces(own.stream()).digest() },
          { name: "hash-wasm", run: () => inPieces(sha256.init()).digest("binary") },
        ],
      };
    },
  };

  return [...blake3, small, ...parallel, cut, cutAndHash, outboard, sha, streamed];
}

function inPieces<Hasher extends { update(bytes: Uint8Array): unknown }>(hasher: Hasher): Hasher {
  for (let from = 0; from < data.length; from += PIECE) hasher.update(data.subarray(from, from + PIECE));
  return hasher;
}

/**
 * Case in which the content is in buffers of one subtree each. The buffers are transferred to the
 * workers and back.
 */
function parallelCase(size: string, length: number, spawn: Spawn): Case {
  return {
    name: `blake3 parallel ${size}`,
    bytes: length,
    async contenders() {
      const pools = [1, 2].map((workers) => ({ workers, pool: new HashPool(workers, spawn) }));
      return {
        list: pools.map(({ workers, pool }) => {
          let buffers = pieces(length);
          const run = async (): Promise<Uint8Array> => {
            const stream = await pool.stream("blake3");
            const given = Promise.all(buffers.map((buffer) => stream.give(buffer, buffer.byteLength)));
            const digest = await stream.digest();
            buffers = await given;
            return digest;
          };
          return { name: OURS, workers, run };
        }),
        close() {
          for (const { pool } of pools) pool.close();
        },
      };
    },
  };
}

/** Case in which the caller keeps the content, so that it is copied for the workers. */
function copiedCase(size: string, length: number, spawn: Spawn): Case {
  return {
    name: `blake3 parallel ${size}, copied`,
    bytes: length,
    async contenders() {
      const bytes = data.subarray(0, length);
      const pools = [1, 2].map((workers) => ({ workers, pool: new HashPool(workers, spawn) }));
      return {
        list: pools.map(({ workers, pool }) => ({ name: OURS, workers, run: () => pool.blake3Many([bytes]) })),
        close() {
          for (const { pool } of pools) pool.close();
        },
      };
    },
  };
}

function pieces(length: number): ArrayBuffer[] {
  return Array.from({ length: length / SUBTREE_SIZE }, (_, i) => data.slice(i * SUBTREE_SIZE, (i + 1) * SUBTREE_SIZE).buffer);
}

/**
 * Computes the lengths and digests of the chunks and the digest of the blob in one pass, from
 * streamed pieces.
 */
function onePass(): Result {
  const lengths: number[] = [];
  const digests: Uint8Array[] = [];
  const pass = kernel.pass();
  const take = (chunks: readonly { length: number; digest: Uint8Array }[]): void => {
    for (const { length, digest } of chunks) {
      lengths.push(length);
      digests.push(digest);
    }
  };
  for (let from = 0; from < data.length; from += PIECE) take(pass.update(data.subarray(from, from + PIECE)));
  const { chunks, digest } = pass.end();
  take(chunks);
  pass.free();
  return [lengths, digests, digest];
}

/** Computes the same results with separate passes, for the sum of their costs. */
function threeParts(): Result {
  const lengths = kernel.cutAll(data);
  let from = 0;
  const digests = lengths.map((length) => {
    from += length;
    return kernel.blake3(data.subarray(from - length, from));
  });
  return [lengths, digests, kernel.blake3(data)];
}

function withOutboard(bytes: Uint8Array): Contender {
  const { nodes } = kernel.outboard(bytes);
  if (nodes.length !== 64 * (bytes.length / GROUP_SIZE - 1)) throw new Error("the outboard lacks nodes");
  return { name: OURS, run: () => kernel.outboard(bytes).digest };
}

function withoutOutboard(bytes: Uint8Array): Contender {
  return { name: "without outboard", run: () => kernel.blake3(bytes) };
}

async function outboardCost({ rounds }: Options): Promise<Omit<Row, "runtime">> {
  const bytes = data.subarray(0, PAIR_BYTES);
  const costs = await measurePairs(withoutOutboard(bytes), withOutboard(bytes), PAIRS_PER_ROUND * rounds);
  return row("outboard cost", withOutboard(bytes), costs, "%");
}

/** Hashes with the library's engine, in pieces, as for a NAR. */
async function ownSha256(engine: HashEngine): Promise<Uint8Array> {
  const stream = await engine.stream("sha256");
  for (let from = 0; from < data.length; from += PIECE) await stream.update(data.subarray(from, from + PIECE));
  return stream.digest();
}

/** Creates blobs of 200 bytes to 4 KiB. */
function smallBlobs(count: number): Uint8Array[] {
  const random = new Uint16Array(pseudoRandom(2 * count, 7).buffer);
  let from = 0;
  return Array.from(random, (value) => {
    const length = 200 + (value % (4 * KIB - 199));
    from += length;
    return data.subarray(from - length, from);
  });
}

/** Creates bytes with xorshift32. */
function pseudoRandom(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(length / 4);
  let state = seed;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer);
}
