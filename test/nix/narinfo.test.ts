import { createPublicKey, verify } from "node:crypto";
import { describe, expect, it } from "vitest";
import { fromBase64, toBase64, toBase64Url, utf8 } from "../../src/bytes.ts";
import { parseContentAddress } from "../../src/nix/content-address.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { formatNix32, parseHash } from "../../src/nix/hash.ts";
import { formatNarInfo, type NarInfo, parseNarInfo } from "../../src/nix/narinfo.ts";
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

  it.each(FILES)("reads what Nix wrote, and writes it again byte for byte: %s", (name) => {
    const text = fixtureText(`narinfo/${name}`);
    expect(formatNarInfo(parseNarInfo(text))).toBe(text);
  });

  it.each(FILES)("gives the fingerprint that Nix signed: %s", (name) => {
    const info = parseNarInfo(fixtureText(`narinfo/${name}`));
    const [keyName, keyData] = fixtureText("public-key").trim().split(":") as [string, string];
    const jwk = { kty: "OKP", crv: "Ed25519", x: toBase64Url(fromBase64(keyData)) };
    const key = createPublicKey({ key: jwk, format: "jwk" });
    expect(info.signatures.map((signature) => signature.name)).toEqual([keyName]);
    for (const { data } of info.signatures) expect(verify(null, utf8(fingerprint(info)), key, data)).toBe(true);
  });

  it("has every field", () => {
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

  it("reads a hexadecimal NarHash", () => {
    const { narHash } = parseNarInfo(BUILT);
    const hex = Buffer.from(narHash.digest).toString("hex");
    expect(parseNarInfo(replaced("NarHash", `sha256:${hex}`)).narHash).toEqual(narHash);
  });

  it("takes no Compression for bzip2, unknown-deriver for none, and ignores unknown tags", () => {
    expect(parseNarInfo(without("Compression")).compression).toBe("bzip2");
    expect(parseNarInfo(replaced("Deriver", "unknown-deriver")).deriver).toBeUndefined();
    expect(parseNarInfo(`${BUILT}Colour: blue\nColour: \n`)).toEqual(parseNarInfo(BUILT));
    expect(parseNarInfo(without("References")).references).toEqual([]);
  });

  it.each(["StorePath", "URL", "NarHash", "NarSize"])("needs %s", (tag) => {
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
    ["an empty tag", `${BUILT}: value\n`],
    ["no blank after the colon", `${BUILT}CA:x\n`],
    ["a last line that does not end", BUILT.slice(0, -1)],
    ["line ends of another system", BUILT.replaceAll("\n", "\r\n")],
    ["a relative StorePath", replaced("StorePath", "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a")],
    ["a path in a StorePath", replaced("StorePath", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a/bin")],
    ["an empty URL", replaced("URL", "")],
    ["a FileHash that is a SHA-1", replaced("FileHash", "sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm")],
    ["a hexadecimal FileHash", replaced("FileHash", `sha256:${"0".repeat(64)}`)],
    ["an SRI NarHash", replaced("NarHash", `sha256-${toBase64(new Uint8Array(32))}`)],
    ["a base64 NarHash", replaced("NarHash", `sha256:${toBase64(new Uint8Array(32))}`)],
    ["a NarHash without its algorithm", replaced("NarHash", "0".repeat(52))],
    ["a negative NarSize", replaced("NarSize", "-1")],
    ["a fraction as NarSize", replaced("NarSize", "1.5")],
    ["an empty NarSize", replaced("NarSize", "")],
    ["a NarSize of 2^53", replaced("NarSize", "9007199254740992")],
    ["a hexadecimal FileSize", replaced("FileSize", "0x10")],
    ["an absolute reference", replaced("References", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a")],
    ["a bare hash as reference", replaced("References", "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp")],
    ["two blanks between references", BUILT.replace(/^References: (.*)$/m, "References: $1  $1")],
    ["a Deriver that is no derivation", replaced("Deriver", "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a")],
    ["an absolute Deriver", replaced("Deriver", "/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a.drv")],
    ["a Sig without a key", replaced("Sig", SIGNATURE.slice(SIGNATURE.indexOf(":")))],
    ["a Sig that is too short", replaced("Sig", "a:AAAA")],
    ["a bad CA", `${BUILT}CA: sha256:0\n`],
    ["more than a MiB", `${BUILT}Note: ${"x".repeat(1024 * 1024)}\n`],
  ])("refuses %s", (_, text) => {
    expect(() => parseNarInfo(text)).toThrow(invalid);
  });

  it("writes nothing that would be read as something else", () => {
    const info = parseNarInfo(BUILT);
    for (const change of [
      { url: "nar/a\nSig: x" },
      { url: "" },
      { compression: "none\nCA: x" },
      { system: "a b" },
      { storePath: "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a" },
      { references: ["/nix/store/6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a"] },
      { deriver: "6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a" },
      { narSize: -1 },
      { fileSize: 2 ** 53 },
      { narHash: parseHash("sha1:iwjz551fyw0cxcjgf4l6c879zabd6wpm") },
      { signatures: [{ name: "a\nCA: x", data: new Uint8Array(64) }] },
      { signatures: [{ name: "a", data: new Uint8Array(63) }] },
    ]) {
      expect(() => formatNarInfo({ ...info, ...change }), JSON.stringify(change)).toThrow(invalid);
    }
  });

  it("leaves out what is not known", () => {
    const { storePath, url, narHash, narSize } = parseNarInfo(BUILT);
    expect(formatNarInfo({ storePath, url, narHash, narSize, references: [], signatures: [] })).toBe(
      `StorePath: ${storePath}\nURL: ${url}\nNarHash: ${formatNix32(narHash)}\nNarSize: ${narSize}\nReferences: \n`,
    );
  });
});

describe("fingerprint", () => {
  it("sorts references and names each once", () => {
    const info = parseNarInfo(BUILT);
    const [a, b] = ["6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a", "ca1y6c916z1ck1dxi4rcrsfs9rzp728w-b"] as const;
    const start = `1;${info.storePath};${formatNix32(info.narHash)};${info.narSize};`;
    expect(fingerprint({ ...info, references: [b, a, b] })).toBe(`${start}/nix/store/${a},/nix/store/${b}`);
    expect(fingerprint({ ...info, references: [] })).toBe(start);
    expect(() => fingerprint({ ...info, references: ["a"] })).toThrow(invalid);
  });
});

describe("signature", () => {
  it("reads and writes name:base64", () => {
    const signature = parseSignature(SIGNATURE);
    expect(signature.name).toBe("fixtures-1");
    expect(signature.data.length).toBe(64);
    expect(formatSignature(signature)).toBe(SIGNATURE);
  });

  it.each(["", "a", ":", "a:", `:${"A".repeat(86)}==`, `a b:${"A".repeat(86)}==`, `a:${"A".repeat(86)}`, `a:${"A".repeat(88)}`])(
    "refuses %j",
    (text) => {
      expect(() => parseSignature(text)).toThrow(invalid);
    },
  );
});
