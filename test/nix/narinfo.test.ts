import { createPublicKey, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fromBase64, toBase64, toBase64Url, utf8 } from "../../src/bytes.ts";
import { parseContentAddress } from "../../src/nix/content-address.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { formatNix32, HASH_LENGTHS, parseHash } from "../../src/nix/hash.ts";
import { formatNarInfo, type NarInfo, parseNarInfo } from "../../src/nix/narinfo.ts";
import { encodeNixbase32 } from "../../src/nix/nixbase32.ts";
import { formatSignature, parseSignature } from "../../src/nix/signature.ts";
import { fixtureNames, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
const FILES = fixtureNames("narinfo");
const BUILT = fixtureText(`narinfo/${FILES.find((name) => fixtureText(`narinfo/${name}`).includes("-built\n"))}`);
const SIGNATURE = /^Sig: (.*)$/m.exec(BUILT)?.[1] ?? "";

function without(tag: string): string {
  return BUILT.replace(new RegExp(`^${tag}: .*\n`, "m"), "");
}
function replaced(tag: string, value: string): string {
  return BUILT.replace(new RegExp(`^${tag}: .*$`, "m"), () => `${tag}: ${value}`);
}

describe("NARInfo", () => {
  it("has fixtures with and without references, a deriver and a content address", () => {
    const infos = FILES.map((name) => parseNarInfo(fixtureText(`narinfo/${name}`)));
    for (const has of [
      (info: NarInfo) => info.references.length > 1,
      (info: NarInfo) => info.deriver !== undefined,
      (info: NarInfo) => info.ca !== undefined,
      (info: NarInfo) => info.compression === "xz",
    ]) {
      expect(infos.some(has)).toBe(true);
      expect(infos.every(has)).toBe(false);
    }
  });

  it.each(FILES)("reads a NARInfo file of Nix, and writes it again byte for byte: %s", (name) => {
    const text = fixtureText(`narinfo/${name}`);
    expect(formatNarInfo(parseNarInfo(text))).toBe(text);
  });

  it.each(FILES)("calculates the fingerprint that Nix signed: %s", (name) => {
    const info = parseNarInfo(fixtureText(`narinfo/${name}`));
    const [keyName, keyData] = fixtureText("public-key").trim().split(":") as [string, string];
    const jwk = { kty: "OKP", crv: "Ed25519", x: toBase64Url(fromBase64(keyData)) };
    const key = createPublicKey({ key: jwk, format: "jwk" });
    expect(info.signatures.map((signature) => signature.name)).toEqual([keyName]);
    for (const { data } of info.signatures) expect(verify(null, utf8(fingerprint(info)), key, data)).toBe(true);
  });

  it("reads every field", () => {
    const other = SIGNATURE.replace(/^[^:]*/, "other-1");
    const ca = "fixed:r:sha256:0clvq3ynb8q6mys7jpkhdhmga95y0g3a4f2a3ww25j4a0x7h8j6v";
    const text = BUILT.replace(/^Sig: .*$/m, (line) => `System: x86_64-linux\n${line}\nSig: ${other}\nCA: ${ca}`);
    const value = (tag: string) => new RegExp(`^${tag}: (.*)$`, "m").exec(BUILT)?.[1];
    const info = parseNarInfo(text);
    expect(info).toEqual({
      storePath: value("StorePath"),
      url: value("URL"),
      compression: value("Compression"),
      fileHash: parseHash(value("FileHash") ?? ""),
      fileSize: Number(value("FileSize")),
      narHash: parseHash(value("NarHash") ?? ""),
      narSize: 168,
      references: [value("References")],
      deriver: value("Deriver"),
      system: "x86_64-linux",
      signatures: [parseSignature(SIGNATURE), parseSignature(other)],
      ca: parseContentAddress(ca),
    });
    expect(formatNarInfo(info)).toBe(text);
  });

  describe.each(["NarHash", "FileHash", "CA"])("%s", (tag) => {
    const digest = Uint8Array.from({ length: 32 }, (_, i) => i * 7);
    const hex = Buffer.from(digest).toString("hex");
    const base64 = toBase64(digest);
    // The last digit has two bits that no byte uses.
    const unusedBits = `${base64.slice(0, -2)}${String.fromCharCode(base64.charCodeAt(42) + 1)}=`;
    const sri = [base64, base64.slice(0, -1), `${base64}=`, `${base64}?text`, unusedBits].map((text) => `sha256-${text}`);
    const prefixed = [encodeNixbase32(digest), hex, hex.toUpperCase(), base64, unusedBits];
    const forms = [...prefixed.map((text) => `sha256:${text}`), ...(tag === "CA" ? [] : sri)];

    it.each(forms)("is read as %s, and written in nixbase32", (form) => {
      const value = tag === "CA" ? `fixed:r:${form}` : form;
      const text = tag === "CA" ? `${BUILT}CA: ${value}\n` : replaced(tag, value);
      const written = tag === "CA" ? `fixed:r:${formatNix32(parseHash(sri[0]!))}` : formatNix32(parseHash(sri[0]!));
      expect(formatNarInfo(parseNarInfo(text))).toBe(text.replace(`${tag}: ${value}`, () => `${tag}: ${written}`));
    });
  });

  it("accepts any hash algorithm of Nix for FileHash, but only SHA-256 for NarHash", () => {
    for (const [algorithm, length] of Object.entries(HASH_LENGTHS)) {
      const hash = `${algorithm}-${toBase64(new Uint8Array(length).fill(3))}`;
      expect(parseNarInfo(replaced("FileHash", hash)).fileHash).toEqual(parseHash(hash));
      if (algorithm === "sha256") continue;
      expect(() => parseNarInfo(replaced("NarHash", hash))).toThrow(invalid);
    }
  });

  it("leaves out a content address of an unknown kind, but refuses a malformed one", () => {
    const digest = "0clvq3ynb8q6mys7jpkhdhmga95y0g3a4f2a3ww25j4a0x7h8j6v";
    for (const ca of [
      "",
      "unheard:of",
      `sha256:${digest}`,
      `fixed:tar:sha256:${digest}`,
      `fixed:r:sha3-256:${digest}`,
      `text:sha512:${digest}`,
      `fixed:git:md5:${digest}`,
      "fixed:sha256",
    ]) {
      expect(parseNarInfo(`${BUILT}CA: ${ca}\n`), ca).toEqual({ ...parseNarInfo(BUILT), ca: undefined });
    }
    for (const ca of [`fixed:r:sha256:${digest.slice(1)}`, `fixed:sha1:${digest}`, "text:sha256:", `fixed:git:sha1:${digest}`])
      expect(() => parseNarInfo(`${BUILT}CA: ${ca}\n`), ca).toThrow(invalid);
  });

  it("reads fields in the forms that Nix accepts, and writes them as Nix does", () => {
    const info = parseNarInfo(BUILT);
    const [a, b] = ["6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a", "ca1y6c916z1ck1dxi4rcrsfs9rzp728w-b"] as const;
    const spaced = parseNarInfo(replaced("References", `  ${a}   ${b} `));
    expect(spaced.references).toEqual([a, b]);
    expect(formatNarInfo(spaced)).toBe(replaced("References", `${a} ${b}`));
    expect(parseNarInfo(replaced("References", "   ")).references).toEqual([]);

    for (const deriver of [a, "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-.drv"]) {
      expect(parseNarInfo(replaced("Deriver", deriver)).deriver).toBe(deriver);
      expect(formatNarInfo({ ...info, deriver })).toBe(replaced("Deriver", deriver));
    }
    expect(parseNarInfo(replaced("Compression", "")).compression).toBe("bzip2");
    for (const system of ["", "a b", "x\t"]) expect(parseNarInfo(`${BUILT}System: ${system}\n`).system).toBeUndefined();
    for (const size of ["168", "+168", "00168"]) expect(parseNarInfo(replaced("NarSize", size)).narSize).toBe(168);
    expect(formatNarInfo(parseNarInfo(replaced("FileSize", "0")))).toBe(without("FileSize"));
    // Nix reads up to 64 bits. What JavaScript can't count is not known.
    for (const size of ["0", "9007199254740992", "18446744073709551615", `+${"0".repeat(30)}9007199254740993`])
      expect(formatNarInfo(parseNarInfo(replaced("FileSize", size))), size).toBe(without("FileSize"));
    expect(parseNarInfo(replaced("FileSize", "9007199254740991")).fileSize).toBe(2 ** 53 - 1);
    const url = "nar/a b.nar?c=d e";
    expect(formatNarInfo(parseNarInfo(replaced("URL", url)))).toBe(replaced("URL", url));
  });

  describe("a signature beside one that is in order", () => {
    const base64 = SIGNATURE.slice(SIGNATURE.indexOf(":") + 1);
    const read = (text: string) => parseNarInfo(`${BUILT}Sig: ${text}\n`).signatures.map(formatSignature);

    // "other-1:A===", 3 bytes and 66 bytes are read by Nix 2.8 and 2.34; 2.8 takes the others too.
    it.each([
      ["is of 3 bytes", "other-1:AAAA"],
      ["is of 66 bytes", `other-1:${"A".repeat(88)}`],
      ["is of 48 bytes", `other-1:${"A".repeat(64)}`],
      ["is empty", "other-1:"],
      ["has no whole byte", "other-1:A==="],
      ["is by a name with a blank", `other 1:${base64}`],
      ["has a blank before it", ` other-1:${base64}`],
      ["has a blank within", `other-1:${base64.slice(0, 40)} ${base64.slice(40)}`],
      ["is not base64", "other-1:!!!"],
      ["is base64 of the URL alphabet", `other-1:${"-_".repeat(43)}==`],
      ["has a second colon", `other:1:${base64}`],
      ["is unpadded, with a carriage return behind it", `other-1:${base64.slice(0, -2)}\r`],
    ])("is left out if it %s", (_, text) => {
      expect(read(text)).toEqual([SIGNATURE]);
    });

    it.each([
      ["lacks its padding", base64.slice(0, -2)],
      ["has half of its padding", base64.slice(0, -1)],
      ["has more padding", `${base64}=`],
      ["has a blank behind it", `${base64} `],
      ["has a carriage return behind it", `${base64}\r`],
      ["has another one behind it", `${base64} other-2:${base64}`],
      [
        "has bits that no byte uses",
        `${base64.slice(0, -3)}${base64.at(-3)?.replace(/[AQgw]/, (c) => String.fromCharCode(c.charCodeAt(0) + 1))}==`,
      ],
    ])("is read if it %s", (_, text) => {
      expect(read(`other-1:${text}`)).toEqual([SIGNATURE, `other-1:${base64}`]);
    });
  });

  it("reads a missing Compression as bzip2 and unknown-deriver as none, and ignores unknown fields", () => {
    expect(parseNarInfo(without("Compression")).compression).toBe("bzip2");
    expect(parseNarInfo(replaced("Deriver", "unknown-deriver")).deriver).toBeUndefined();
    for (const lines of ["Colour: blue\nColour: \n", "Colour:blue\nColour:b\n", "Colour:URL: x\n", ": blue\n", "a b:\tc\n"])
      expect(parseNarInfo(BUILT + lines), lines).toEqual(parseNarInfo(BUILT));
    expect(parseNarInfo(without("References")).references).toEqual([]);
  });

  it.each(["StorePath", "URL", "NarHash", "NarSize"])("requires %s", (tag) => {
    expect(() => parseNarInfo(without(tag))).toThrow(invalid);
  });

  it.each(["StorePath", "URL", "Compression", "FileHash", "FileSize", "NarHash", "NarSize", "References", "Deriver"])(
    "refuses a second %s",
    (tag) => {
      const line = new RegExp(`^${tag}: .*\n`, "m").exec(BUILT)?.[0] ?? "";
      expect(line).not.toBe("");
      expect(() => parseNarInfo(BUILT + line)).toThrow(invalid);
    },
  );

  it.each([
    ["an empty text", ""],
    ["a line without a tag", `${BUILT}nothing\n`],
    ["an empty line", `${BUILT}\n`],
    ["an unknown tag with nothing behind its colon", `${BUILT}Colour:\nNote: x\n`],
    ["no blank after the colon", `${BUILT}CA:x\n`],
    ["a tab after the colon", BUILT.replace("URL: ", "URL:\t")],
    ["a second colon in place of the blank", BUILT.replace("URL: ", "URL:x: ")],
    ["a Sig without a blank", `${BUILT}Sig:${SIGNATURE}\n`],
    ["a last line that does not end", BUILT.slice(0, -1)],
    ["line ends of another system", BUILT.replaceAll("\n", "\r\n")],
    ["a relative StorePath", replaced("StorePath", "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a")],
    ["a path in a StorePath", replaced("StorePath", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a/bin")],
    ["an empty URL", replaced("URL", "")],
    ["a URL with a control character", replaced("URL", "nar/a\tb")],
    ["an empty FileHash", replaced("FileHash", "")],
    ["a FileHash of an unknown kind", replaced("FileHash", `sha3:${"0".repeat(64)}`)],
    ["a FileHash that is too short", replaced("FileHash", `sha256:${"0".repeat(62)}`)],
    ["a NarHash that is too short", replaced("NarHash", `sha256-${toBase64(new Uint8Array(31))}`)],
    ["a NarHash without its algorithm", replaced("NarHash", "0".repeat(52))],
    ["a NarSize of 0", replaced("NarSize", "0")],
    ["a NarSize of several zeros", replaced("NarSize", "000")],
    ["a negative NarSize", replaced("NarSize", "-1")],
    ["a fraction as NarSize", replaced("NarSize", "1.5")],
    ["an empty NarSize", replaced("NarSize", "")],
    ["a NarSize of 2^53", replaced("NarSize", "9007199254740992")],
    ["a hexadecimal FileSize", replaced("FileSize", "0x10")],
    ["an absolute reference", replaced("References", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a")],
    ["a bare hash as reference", replaced("References", "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp")],
    ["a tab between references", BUILT.replace(/^References: (.*)$/m, "References: $1\t$1")],
    ["an empty Deriver", replaced("Deriver", "")],
    ["a Deriver that is no store path", replaced("Deriver", "a.drv")],
    ["an absolute Deriver", replaced("Deriver", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a.drv")],
    ["a Sig without a key", replaced("Sig", SIGNATURE.slice(SIGNATURE.indexOf(":")))],
    ["a Sig without a colon", `${BUILT}Sig: unknown\n`],
    ["an empty Sig", `${BUILT}Sig: \n`],
    ["a FileSize of 2^64", replaced("FileSize", "18446744073709551616")],
    ["a FileSize of many digits", replaced("FileSize", "9".repeat(500_000))],
    ["a NarHash with a colon behind its padding", replaced("NarHash", `sha256-${toBase64(new Uint8Array(32))}:x`)],
    ["a NarHash with base64 of the URL alphabet", replaced("NarHash", `sha256-${"-".repeat(43)}=`)],
    ["more than a MiB", `${BUILT}Note: ${"x".repeat(1024 * 1024)}\n`],
  ])("refuses %s", (_, text) => {
    expect(() => parseNarInfo(text)).toThrow(invalid);
  });

  it("refuses to write values that would be read as something else", () => {
    const info = parseNarInfo(BUILT);
    for (const change of [
      { url: "nar/a\nSig: x" },
      { url: "" },
      { compression: "none\nCA: x" },
      { system: "a b" },
      { storePath: "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a" },
      { references: ["/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a"] },
      { deriver: "a.drv" },
      { narSize: -1 },
      { narSize: 0 },
      { fileSize: 0 },
      { url: "nar/a\tb" },
      { fileSize: 2 ** 53 },
      { narHash: parseHash("sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm") },
      { signatures: [{ name: "a\nCA: x", data: new Uint8Array(64) }] },
      { signatures: [{ name: "a", data: new Uint8Array(63) }] },
    ]) {
      expect(() => formatNarInfo({ ...info, ...change }), JSON.stringify(change)).toThrow(invalid);
    }
  });

  it("leaves out unknown facts", () => {
    const { storePath, url, narHash, narSize } = parseNarInfo(BUILT);
    expect(formatNarInfo({ storePath, url, narHash, narSize, references: [], signatures: [] })).toBe(
      `StorePath: ${storePath}\nURL: ${url}\nNarHash: ${formatNix32(narHash)}\nNarSize: ${narSize}\nReferences: \n`,
    );
  });
});
