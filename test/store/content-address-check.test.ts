import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import type { Node } from "../../src/castore/node.ts";
import { formatContentAddress } from "../../src/nix/content-address.ts";
import { storePathFromContentAddress } from "../../src/nix/content-addressed-path.ts";
import { formatNix32 } from "../../src/nix/hash.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { sha256 } from "../../src/nix/sha256.ts";
import { storePathBaseName } from "../../src/nix/store-path.ts";
import { checkContentAddress, contentDigest } from "../../src/store/content-address-check.ts";
import { importNar } from "../../src/store/import.ts";
import { engine, failure, Source } from "./fixtures.ts";

function fileNar(content: Uint8Array, executable = false): Uint8Array {
  const pieces: Uint8Array[] = [];
  const writer = new NarWriter((piece) => pieces.push(piece.slice()));
  writer.file(content.length, executable);
  writer.content(content);
  writer.endFile();
  writer.end();
  return concatBytes(pieces);
}

/**
 * Imports the NAR of `content` with a NARInfo whose hash is right and whose content address is in
 * question.
 */
async function imported(content: string, path: string, ca: string, options: { references?: string; executable?: boolean } = {}) {
  const nar = fileNar(utf8(content), options.executable);
  const digest = await sha256(nar);
  const narInfo = `StorePath: /nix/store/${path}
URL: nar/x.nar
Compression: none
NarHash: ${formatNix32({ algorithm: "sha256", digest })}
NarSize: ${nar.length}
References: ${options.references ?? ""}
CA: ${ca}
`;
  return importNar(createMemoryStore(), engine, new Source(nar), { narInfo });
}

/**
 * Content of a file named `fixed`. `nix-store --add-fixed [--recursive] <algorithm>` gave the
 * addresses.
 */
const CONTENT = "some content\n";
const FIXED = [
  ["4pk38axnwr50grag709a8l83w6887viq-fixed", "fixed:md5:55xf5g2zm31syagwv3xgq2p77b"],
  ["dxzs1r12nxmcaylfg1c0cd3fp8z0zzm4-fixed", "fixed:r:md5:273gv33aii6pnjvbgp1h00g1jv"],
  ["s0k563l5da0jqz2fsdj36bjdmrkbvw7c-fixed", "fixed:sha1:dz6sfmpndxkh389jd3ggy2pd1i625ybc"],
  ["qq2ibml0gwg2pc8v4khwg3b131y4g3lq-fixed", "fixed:r:sha1:hwbyjv6g5dg4dc5xrj7dn53drlzxgz9f"],
  ["6wfy3082kbxd75bm8nxmfgj033il031z-fixed", "fixed:sha256:00gszpxkyrnl5dqzgx1q1h2xk93zl97aj1jgf7gn4djjgxrbd1qw"],
  ["x348shg4fj2s447vjlkwa4wlfb2vm0gs-fixed", "fixed:r:sha256:0j6wnnzxl7iqnlx54p0fswjc2zqfbc9sf2kdm50fgqb76sk4fsfr"],
  [
    "s038z3yiapibp80720zj8agixvf390pv-fixed",
    "fixed:sha512:2y7ja887ijc8i7lk33mzgh3cf4ba4pwz2jplglrjaada0s7vny5f0ss1s9bpfycb2wfpjwdcxppcjcbqfgkzmvlzfahdywq46pwlm37",
  ],
  [
    "5ayz39nqrbyw4fk89wh6w4c9wnc41wb7-fixed",
    "fixed:r:sha512:3xkidd9b4gdqink696cqjfb64zr3yl3vl8ghvw45f9cnipla244xd3ga53zf4gxj9qmwca0fnl8qqjjqjpyxkmnbqxr6hscj64cyad4",
  ],
] as const;

describe("content addresses are checked", () => {
  test.each(FIXED)("%s %s", async (path, ca) => {
    expect((await imported(CONTENT, path, ca)).ca).toBe(ca);
    // Path and address still match each other, but the content doesn't.
    expect(await failure(imported("other content", path, ca))).toMatchObject({ code: "corrupt" });
  });

  test("an executable may have the flat address of its bytes, because `nix store add --mode flat` keeps the bit", async () => {
    const [path, ca] = FIXED[4];
    const { node } = await imported(CONTENT, path, ca, { executable: true });
    expect(node).toMatchObject({ kind: "file", executable: true });
  });

  test("only a file can have a flat or text address", async () => {
    const store = createMemoryStore();
    const node = { kind: "symlink", target: utf8("x") } as const;
    const flat = await imported(CONTENT, ...FIXED[4]);
    expect(await failure(checkContentAddress(store, engine, { ...flat, node }))).toMatchObject({ code: "corrupt" });
    const hash = { algorithm: "sha256", digest: await sha256(utf8(CONTENT)) } as const;
    const path = await storePathFromContentAddress("fixed", { method: "text", hash }, { references: [], self: false });
    const text = await imported(CONTENT, storePathBaseName(path), `text:${formatNix32(hash)}`);
    expect(await failure(checkContentAddress(store, engine, { ...text, node }))).toMatchObject({ code: "corrupt" });
  });

  test("a digest needs content that the method can hash", async () => {
    const store = createMemoryStore();
    const { node } = await imported(CONTENT, ...FIXED[4]);
    const digest = (of: Node, method: "flat" | "git", algorithm: "sha1" | "sha512") =>
      failure(contentDigest(store, engine, of, { method, algorithm }));
    expect(await digest({ kind: "symlink", target: utf8("x") }, "flat", "sha1")).toMatchObject({ code: "invalid" });
    expect(await digest(node, "git", "sha512")).toMatchObject({ code: "invalid" });
    expect(await digest(node, "flat", "sha1")).toMatchObject({ code: "not-found" });
  });

  test("references that a path of this kind can't have are invalid", async () => {
    const [path, ca] = FIXED[0];
    const references = FIXED[2][0];
    expect(await failure(imported(CONTENT, path, ca, { references }))).toMatchObject({ code: "invalid" });
  });

  test.each(["a4apaipxcrki6biwwhmbhxqfdb6p6myl", "jvwga5aj2vl42dmac12cdhs2fqvk1as1"])(
    "content that refers to itself, hashed without offsets as by Nix 2.34: %s",
    async (hashPart) => {
      const file = (name: string) => new Uint8Array(readFileSync(join(import.meta.dirname, "../fixtures/nix-2.34/cache", name)));
      const narInfo = new TextDecoder().decode(file(`${hashPart}.narinfo`));
      const nar = file(/^URL: (.*)$/m.exec(narInfo)?.[1] ?? "");
      const { ca } = parseNarInfo(narInfo);
      const info = await importNar(createMemoryStore(), engine, new Source(nar), { narInfo });
      expect(info.ca).toBe(ca && formatContentAddress(ca));
      expect(info.references).toContain(info.storePath.slice("/nix/store/".length));

      // This byte belongs to no self-reference. Path and address still match each other.
      const other = nar.slice();
      const text = Buffer.from(other.buffer).indexOf("/nix/store/");
      other[text + 1] = "N".charCodeAt(0);
      const narHash = formatNix32({ algorithm: "sha256", digest: await sha256(other) });
      const claimed = narInfo.replace(/^NarHash: .*$/m, `NarHash: ${narHash}`);
      const importing = importNar(createMemoryStore(), engine, new Source(other), { narInfo: claimed });
      expect(await failure(importing)).toMatchObject({ code: "corrupt" });
    },
  );

  test("content that refers to itself, made by `nix store make-content-addressed` of Nix 2.8", async () => {
    const self = "avg1fxjqq4204vygxpmga47mcnfkp7wz-self";
    const content = (path: string): string => `start /nix/store/${path} middle /nix/store/${path}\n`;
    const ca = "fixed:r:sha256:1k9f9v3r3r31pr4d4a9qyi81ffrzh91wx5spr6x59fdl0yn5krqr";
    const info = await imported(content(self), self, ca, { references: self });
    expect(info.narHash).toBe("sha256-UE75STT70/W29ucEg1Yvh2nmXnA02ezm85tNW2riikk=");

    // The hash replaces self-references by zeros, so this content has the same hash without having
    // any.
    const zeroed = content(`${"\0".repeat(32)}-self`);
    expect(await failure(imported(zeroed, self, ca, { references: self }))).toMatchObject({ code: "corrupt" });
    expect(await failure(imported(content(self), self, ca))).toMatchObject({ code: "corrupt" });
  });
});
