import { describe, expect, it } from "vitest";
import { toHex, utf8 } from "../../src/bytes.ts";
import { formatHex, formatNix32, formatSri, type HashAlgorithm, parseHash } from "../../src/nix/hash.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";

const invalid = expect.objectContaining({ code: "invalid" });

// Hashes of "hello\n" by `nix hash file --type T` with `--sri`, `--base16`, `--base32` and
// `--base64`. BLAKE3 comes from Nix 2.34.
const VECTORS: [HashAlgorithm, hex: string, nix32: string, base64: string][] = [
  ["md5", "b1946ac92492d2347c6235b4d2611184", "4425hx5d1mc9y39llj4k4nm55i", "sZRqySSS0jR8YjW00mERhA=="],
  ["sha1", "f572d396fae9206628714fb2ce00f72e94f2258f", "iwjz551fyw0cxcjgf4l6c879zabd6wpm", "9XLTlvrpIGYocU+yzgD3LpTyJY8="],
  [
    "sha256",
    "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
    "00xyyr3fi8l6hb839bv3f7yb86yjv7xi1cgh1xnhipym4asvb4aq",
    "WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM=",
  ],
  [
    "sha512",
    "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931f94aae41edda2c2b207a36e10f8bcb8d45223e54878f5b316e7ce3b6bc019629",
    "0lrc0dwnvipqviibf7qfm1y492qvjwb1zhkcyi05cndmva1mr5gjcgrnz1x36djmk0sfg8djd2n0qv68vib2jg590mwznar9jcjphp7",
    "58IrmUxZ2c8rSOVJseJGZmNgRZMNPafBrLKZ0cO3+TH5Sq5B7dosKyB6NuEPi8uNRSI+VIePWzFufOO2vAGWKQ==",
  ],
  [
    "blake3",
    "8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99",
    "16cscbyxpwpmx9wdgzd20jlqyi71bsnzx1aim7km1zfvk4dpqk4f",
    "jkx8G5nb/VDnqVGF/q1e4USPqQSi/dd46vXy2/1impk=",
  ],
];

/** The same digest in base64, whose last digit has bits that no byte uses. */
function withUnusedBits(base64: string): string {
  return base64.replace(/[A-Za-z0-9+/](?==*$)/, (digit) => String.fromCharCode(digit.charCodeAt(0) + 1));
}

describe("hash", () => {
  it.each(VECTORS)("reads and writes every form of a %s", async (algorithm, hex, nix32, base64) => {
    const unpadded = base64.replace(/=+$/, "");
    const prefixed = [hex, hex.toUpperCase(), nix32, base64, unpadded].map((digest) => `${algorithm}:${digest}`);
    // As Nix 2.8 and 2.34 read base64: up to the first "=", without line ends and unused bits.
    const lines = `${unpadded.slice(0, 5)}\n${unpadded.slice(5)}\n`;
    const inSri = [
      base64,
      unpadded,
      lines,
      `${unpadded}=`,
      `${unpadded}===`,
      `${unpadded}=?option`,
      `${unpadded}=\r\né`,
      withUnusedBits(unpadded),
    ];
    for (const text of [
      ...prefixed,
      `${algorithm}:${withUnusedBits(base64)}`,
      ...inSri.map((digest) => `${algorithm}-${digest}`),
    ]) {
      const hash = parseHash(text);
      expect(hash.algorithm).toBe(algorithm);
      expect(toHex(hash.digest)).toBe(hex);
      expect(formatHex(hash)).toBe(`${algorithm}:${hex}`);
      expect(formatNix32(hash)).toBe(`${algorithm}:${nix32}`);
      expect(formatSri(hash)).toBe(`${algorithm}-${base64}`);
    }
    expect(toHex(await hashBytes(algorithm, utf8("hello\n")))).toBe(hex);
  });

  const [, hex, nix32, base64] = VECTORS[2] as [string, string, string, string];
  it.each([
    "",
    "sha256",
    "sha256:",
    "sha256-",
    hex,
    nix32,
    `sha256-${hex}`,
    `sha256-${nix32}`,
    `sha1:${hex}`,
    `sha512:${hex}`,
    `blake2:${hex}`,
    `blake3:${hex.slice(2)}`,
    `constructor:${hex}`,
    `SHA256:${hex}`,
    `sha256:${hex.slice(1)}`,
    `sha256:${hex.slice(1)}g`,
    `sha256:e${nix32.slice(1)}`,
    `sha256:z${nix32.slice(1)}`,
    `sha256-${base64.slice(0, -2)}`,
    `sha256-=${base64}`,
    `sha256-${base64}:x`,
    `sha256-${base64.slice(0, -1)} =`,
    `sha256-${base64.slice(0, -1)}\r`,
    `sha256-${base64.replace(/[+/]/, "_")}`,
    `sha256:${base64}=`,
    `sha256:${base64}?`,
    `sha256:${base64.slice(0, -2)}==`,
    `sha256:${nix32.toUpperCase()}`,
    `sha256-${base64.slice(0, -1)}A`,
    `md5-${"A".repeat(24)}`,
  ])("refuses %j", (text) => {
    expect(() => parseHash(text)).toThrow(invalid);
  });
});
