import { describe, expect, it } from "vitest";
import { fromHex, toHex, utf8 } from "../../src/bytes.ts";
import { type ContentAddressMethod, parseContentAddress } from "../../src/nix/content-address.ts";
import { compressHash, storePathFromContentAddress } from "../../src/nix/content-addressed-path.ts";
import type { HashAlgorithm } from "../../src/nix/hash.ts";
import { hashBytes } from "../../src/nix/hash-bytes.ts";
import { formatStorePath, parseStorePath } from "../../src/nix/store-path.ts";
import { fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });

/** A path in the output of `nix path-info --json`. */
interface Known {
  path: string;
  ca: string;
  references: string[];
}
const KNOWN: Known[] = ["content-addressed.path-info", "derivation.path-info"].flatMap((name) => JSON.parse(fixtureText(name)));
const REFERENCE = parseStorePath("6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-text-a");

const address = async (method: ContentAddressMethod, algorithm: HashAlgorithm) => ({
  method,
  hash: { algorithm, digest: await hashBytes(algorithm, utf8("")) },
});

describe("store path of a content address", () => {
  it("has fixtures of each kind", () => {
    const kinds = new Set(
      KNOWN.map(({ path, ca, references }) => {
        const others = references.filter((reference) => reference !== path).length;
        const self = references.length > others;
        return `${ca.slice(0, ca.lastIndexOf(":"))}${others > 0 ? " references" : ""}${self ? " self" : ""}`;
      }),
    );
    const fixed = ["md5", "sha1", "sha256", "sha512"].flatMap((type) => [`fixed:${type}`, `fixed:r:${type}`]);
    const referring = ["text:sha256", "text:sha256 references"].concat(
      ["references", "self", "references self"].map((kind) => `fixed:r:sha256 ${kind}`),
    );
    expect([...kinds].sort()).toEqual([...fixed, ...referring].sort());
  });

  it.each(KNOWN)("$ca gives $path, as in Nix", async ({ path, ca, references }) => {
    const parsed = parseContentAddress(ca);
    const others = references.filter((reference) => reference !== path).map((reference) => parseStorePath(reference));
    const options = { references: [...others.reverse(), ...others], self: references.includes(path) };
    const calculated = await storePathFromContentAddress(parseStorePath(path).name, parsed, options);
    expect(formatStorePath(calculated)).toBe(path);
  });

  it("depends on the store directory", async () => {
    const ca = await address("nar", "sha256");
    const here = await storePathFromContentAddress("a", ca);
    const there = await storePathFromContentAddress("a", ca, { storeDir: "/gnu/store" });
    expect(there.digest).not.toEqual(here.digest);
  });

  it("refuses references if Nix has no path for them", async () => {
    const references = [REFERENCE];
    for (const [method, algorithm] of [
      ["flat", "sha256"],
      ["flat", "md5"],
      ["nar", "sha1"],
      ["nar", "sha512"],
    ] as const) {
      const ca = await address(method, algorithm);
      await expect(storePathFromContentAddress("a", ca, { references })).rejects.toThrow(invalid);
      await expect(storePathFromContentAddress("a", ca, { self: true })).rejects.toThrow(invalid);
    }
    await expect(storePathFromContentAddress("a", await address("text", "sha256"), { self: true })).rejects.toThrow(invalid);
    await expect(storePathFromContentAddress("a", await address("text", "sha1"))).rejects.toThrow(invalid);
    await expect(storePathFromContentAddress("a b", await address("nar", "sha256"))).rejects.toThrow(invalid);
  });

  it("folds digests", () => {
    expect(toHex(compressHash(fromHex("0102040810"), 2))).toBe("150a");
  });
});
