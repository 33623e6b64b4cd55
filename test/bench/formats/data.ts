/**
 * Data for the parsers. Its size and shape match the files that cache.nixos.org serves and the
 * derivations in Nix stores.
 */

import { toBase64, utf8 } from "../../../src/bytes.ts";
import type { Derivation } from "../../../src/nix/derivation.ts";
import { formatDerivation } from "../../../src/nix/derivation-file.ts";
import { encodeNixbase32 } from "../../../src/nix/nixbase32.ts";
import { Random, randomBytes } from "../../crash/random.ts";

const WORDS = ["lib", "glibc", "python3.11", "gcc", "wrapper", "hook", "perl", "source", "dev", "bash", "cmake", "ninja", "doc"];

export function hashParts(count: number, seed = 11): string[] {
  return Array.from({ length: count }, (_, i) => encodeNixbase32(randomBytes(20, seed + i)));
}

/** Creates NARInfo files with up to 20 references, a deriver and a signature. */
export function narInfoFiles(count: number): string[] {
  const random = new Random(1);
  return Array.from({ length: count }, (_, i) => {
    const name = packageName(random);
    const references = hashParts(random.whole(0, 20), i * 50).map((hash) => `${hash}-${packageName(random)}`);
    const hash = () => encodeNixbase32(randomBytes(32, random.whole(1, 1_000_000)));
    const fileHash = hash();
    return [
      `StorePath: /nix/store/${hashParts(1, i)[0]}-${name}`,
      `URL: nar/${fileHash}.nar.xz`,
      "Compression: xz",
      `FileHash: sha256:${fileHash}`,
      `FileSize: ${random.whole(1000, 10_000_000)}`,
      `NarHash: sha256:${hash()}`,
      `NarSize: ${random.whole(10_000, 100_000_000)}`,
      `References: ${references.join(" ")}`,
      `Deriver: ${hashParts(1, i + 1)[0]}-${name}.drv`,
      `Sig: cache.nixos.org-1:${toBase64(randomBytes(64, i + 1))}`,
      "",
    ].join("\n");
  });
}

/** Creates derivations with 3 to 30 inputs and some 40 variables, in 4 to 8 KB each. */
export function derivationFiles(count: number): Uint8Array[] {
  const random = new Random(2);
  return Array.from({ length: count }, (_, i) => {
    const paths = hashParts(40, i * 60).map((hash) => `/nix/store/${hash}-${packageName(random)}`);
    const [out = "", source = "", ...others] = paths;
    const inputs = others.slice(0, random.whole(3, 30));
    const derivation: Derivation = {
      name: "bench",
      outputs: new Map([["out", { kind: "input-addressed", path: out }]]),
      inputDerivations: new Map(inputs.map((path) => [`${path}.drv`, new Set(random.chance(0.5) ? ["out"] : ["dev", "out"])])),
      inputSources: new Set([source]),
      system: "x86_64-linux",
      builder: `${others[0]}/bin/bash`,
      arguments: ["-e", source],
      environment: new Map([
        ["out", out],
        ["buildInputs", inputs.join(" ")],
        ["buildPhase", 'runHook preBuild\nmake "$flags"\nrunHook postBuild\n'.repeat(random.whole(1, 5))],
        ...Array.from(
          { length: 36 },
          (_, k) => [`variable${k}`, random.pick(WORDS).repeat(random.whole(0, 5))] as [string, string],
        ),
      ]),
    };
    return formatDerivation(derivation);
  });
}

/**
 * Creates content like a program: pages of zeros, of random bytes and of names, with a few store
 * paths.
 */
export function program(length: number): Uint8Array {
  const content = new Uint8Array(length);
  const page = 4096;
  const names = utf8(`${WORDS.join("_\0")}\0/nix/store/${hashParts(1)[0]}-glibc-2.38/lib/libc.so.6\0`);
  for (let at = 0; at + page <= length; at += page) {
    const kind = (at / page) % 8;
    if (kind === 0) continue;
    if (kind === 1) for (let i = 0; i + names.length <= page; i += names.length) content.set(names, at + i);
    else content.set(randomBytes(page, at), at);
  }
  return content;
}

/** Creates lines of words, with a store path in every 50th line. */
export function text(length: number): Uint8Array {
  const random = new Random(3);
  const [hash] = hashParts(1);
  const line = () => Array.from({ length: 12 }, () => random.pick(WORDS)).join(" ");
  const some = utf8(
    Array.from({ length: 500 }, (_, i) => (i % 50 === 0 ? `/nix/store/${hash}-glibc/lib\n` : `${line()}\n`)).join(""),
  );
  const content = new Uint8Array(length);
  for (let at = 0; at < length; at += some.length) content.set(some.subarray(0, length - at), at);
  return content;
}

function packageName(random: Random): string {
  return `${random.pick(WORDS)}-${random.pick(WORDS)}-${random.whole(0, 30)}.${random.whole(0, 99)}`;
}
