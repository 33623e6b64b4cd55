import { describe, expect, it } from "vitest";
import {
  canHash,
  checkMethod,
  formatContentAddress,
  parseContentAddress,
  parseKnownContentAddress,
} from "../../src/nix/content-address.ts";
import { HASH_LENGTHS, type HashAlgorithm } from "../../src/nix/hash.ts";
import { fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
/** Content addresses in the output of `nix path-info --json`. */
const KNOWN = ["content-addressed.path-info", "derivation.path-info"]
  .flatMap((name) => JSON.parse(fixtureText(name)) as { ca: string }[])
  .map(({ ca }) => ca);

describe("content address", () => {
  it.each(KNOWN)("reads %s, as Nix wrote it, and writes it again", (ca) => {
    expect(formatContentAddress(parseContentAddress(ca))).toBe(ca);
  });

  it.each([
    "",
    "text",
    "text:sha256",
    "text:sha256:",
    "text:md5:5k3537sv5p3dmsj6l9n59sm9f9",
    "text:sha1:pplp5izjnj9j7sbk2hwv7dkbswqf61yj",
    "text:r:sha256:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    "fixed:x:sha256:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    "fixed:git:pplp5izjnj9j7sbk2hwv7dkbswqf61yj",
    "fixed:git:md5:5k3537sv5p3dmsj6l9n59sm9f9",
    "fixed:git:blake3:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    "text:blake3:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    "fixed:sha256-9ghaZFx/EaQcb/iSvPSo4YWuRiQyJzTrcjW1PHdJ6MM=",
    "sha256:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb",
    "fixed:sha256:1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mik",
  ])("refuses %j", (text) => {
    expect(() => parseContentAddress(text)).toThrow(invalid);
  });

  it("reads an unknown kind as none, but refuses a broken digest of a known kind", () => {
    const digest = "1xk2hhjr0f2n4adj1h688wlz59xpl86y1r8bd2pjasg8gy16mikb";
    for (const text of ["", "new:sha256:x", "fixed:sha3:x", "text:sha1:x", "fixed:git:md5:x", "fixed:sha256"])
      expect(parseKnownContentAddress(text)).toBeUndefined();
    expect(parseKnownContentAddress(`text:sha256:${digest}`)?.method).toBe("text");
    for (const text of ["text:sha256:x", "fixed:r:md5:", `fixed:sha256:${digest}0`])
      expect(() => parseKnownContentAddress(text)).toThrow(invalid);
  });

  it("has only the methods and algorithms of Nix", () => {
    const algorithms = Object.keys(HASH_LENGTHS) as HashAlgorithm[];
    const possible = { flat: algorithms, nar: algorithms, text: ["sha256"], git: ["sha1", "sha256"] };
    for (const method of ["flat", "nar", "text", "git"] as const) {
      expect(algorithms.filter((algorithm) => canHash(method, algorithm)).sort()).toEqual([...possible[method]].sort());
    }
    const hash = { algorithm: "md5", digest: new Uint8Array(16) } as const;
    checkMethod({ method: "flat", hash });
    expect(() => checkMethod({ method: "git", hash })).toThrow(invalid);
  });
});
