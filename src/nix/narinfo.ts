import { quote } from "../bytes.ts";
import { StoreError } from "../error.ts";
import { type ContentAddress, formatContentAddress, parseKnownContentAddress } from "./content-address.ts";
import { formatNix32, type NixHash, parseHash } from "./hash.ts";
import { formatSignature, readSignature, type Signature } from "./signature.ts";
import { checkStorePath, STORE_DIR } from "./store-path.ts";

/** A binary cache's description of a store path, in the file `<hash part>.narinfo`. */
export interface NarInfo {
  /** Absolute store path. */
  storePath: string;
  /** URL of the archive, usually relative to the cache's own URL. */
  url: string;
  /**
   * Compression of the archive, for example `xz` or `none`. If the file doesn't state one, Nix and
   * `parseNarInfo` assume `bzip2`.
   */
  compression?: string | undefined;
  /** Hash of the archive as served, compressed. Nix itself writes a SHA-256. */
  fileHash?: NixHash | undefined;
  /**
   * Size of the archive as served, in bytes. Nix writes 0 for an unknown size. `parseNarInfo` takes
   * a size of 2^53 bytes or more, which Nix reads, as unknown too.
   */
  fileSize?: number | undefined;
  /** SHA-256 of the NAR. */
  narHash: NixHash;
  /** Size of the NAR in bytes, never 0. */
  narSize: number;
  /** Base names, in the file's order. */
  references: string[];
  /** Base name of the derivation. Nix allows a suffix other than `.drv`. */
  deriver?: string | undefined;
  system?: string | undefined;
  signatures: Signature[];
  /** Also missing if the file has a content address of an unknown kind. */
  ca?: ContentAddress | undefined;
}

/** Maximum length of a NARInfo file, in characters. */
export const NARINFO_MAX_LENGTH = 1024 * 1024;

/**
 * Reads a NARInfo file. Fields may have any form that Nix reads: hashes in each encoding, blanks
 * around references, a deriver without `.drv`. Ignores unknown tags, content addresses of unknown
 * kinds, and signatures that no key can have made (`readSignature`).
 *
 * Each line must be `Tag: value`, and each known tag except `Sig` may occur only once. Nix is less
 * strict: it skips the line after a broken line, and takes the last of several lines with the same
 * tag. Two readers could then see two different paths in one file. After the colon of an unknown
 * tag, any character may replace the blank: Nix skips it without a look.
 *
 * @throws StoreError `invalid`
 */
export function parseNarInfo(text: string, storeDir: string = STORE_DIR): NarInfo {
  if (text.length > NARINFO_MAX_LENGTH) throw new StoreError("invalid", `NARInfo: longer than ${NARINFO_MAX_LENGTH} characters`);
  const { fields, signatures } = readLines(text);
  const named = fields.get("StorePath") ?? "";
  try {
    return readFields(fields, signatures, storeDir);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError("invalid", `NARInfo${named === "" ? "" : ` of ${quote(named)}`}: ${reason}`, { cause });
  }
}

const TAGS: ReadonlySet<string> = new Set([
  "StorePath",
  "URL",
  "Compression",
  "FileHash",
  "FileSize",
  "NarHash",
  "NarSize",
  "References",
  "Deriver",
  "System",
  "CA",
  "Sig",
]);

function readLines(text: string): { fields: Map<string, string>; signatures: string[] } {
  if (!text.endsWith("\n")) throw new StoreError("invalid", "NARInfo: the last line has no line feed");
  const fields = new Map<string, string>();
  const signatures: string[] = [];
  for (let start = 0, end = 0; start < text.length; start = end + 1) {
    end = text.indexOf("\n", start);
    const colon = text.indexOf(":", start);
    const tag = text.slice(start, Math.max(colon, start));
    const isKnown = TAGS.has(tag);
    if (colon === -1 || colon + 1 >= end || (isKnown && text[colon + 1] !== " "))
      throw new StoreError("invalid", `NARInfo: a line is not of the form "Tag: value": ${quote(text.slice(start, end))}`);
    if (!isKnown) continue;
    const value = text.slice(colon + 2, end);
    if (tag === "Sig") signatures.push(value);
    else if (fields.has(tag)) throw new StoreError("invalid", `NARInfo: ${tag} occurs twice`);
    else fields.set(tag, value);
  }
  return { fields, signatures };
}

function readFields(fields: ReadonlyMap<string, string>, signatures: readonly string[], storeDir: string): NarInfo {
  const required = (tag: string): string => {
    const value = fields.get(tag);
    if (value === undefined) throw new StoreError("invalid", `${tag} is missing`);
    return value;
  };
  const optional = <T>(tag: string, read: (value: string) => T): T | undefined => {
    const value = fields.get(tag);
    return value === undefined ? undefined : read(value);
  };
  return {
    storePath: checkAbsolute(required("StorePath"), storeDir),
    url: checkUrl(required("URL")),
    compression: checkWord("Compression", fields.get("Compression") || "bzip2"),
    fileHash: optional("FileHash", (value) => readHash("FileHash", value)),
    fileSize: optional("FileSize", readFileSize),
    narHash: checkSha256("NarHash", readHash("NarHash", required("NarHash"))),
    narSize: checkNotEmpty("NarSize", readSize("NarSize", required("NarSize"))),
    references: (fields.get("References") ?? "").split(" ").filter(isNotEmpty).map(checkBaseName),
    deriver: optional("Deriver", (value) => (value === "unknown-deriver" ? undefined : checkBaseName(value))),
    // Nix ignores this field, so no value of it makes a NARInfo invalid.
    system: optional("System", (value) => (WORD.test(value) ? value : undefined)),
    signatures: signatures.map(readSignature).filter((signature) => signature !== undefined),
    ca: optional("CA", parseKnownContentAddress),
  };
}

function isNotEmpty(text: string): boolean {
  return text !== "";
}

/**
 * Writes a NARInfo file as Nix does: with its order of lines, and hashes in nixbase32.
 *
 * @throws StoreError `invalid` if a reader of the file would not get the same `info` back
 */
export function formatNarInfo(info: NarInfo, storeDir: string = STORE_DIR): string {
  const lines: string[] = [];
  const line = (tag: string, value: string | number | undefined) => {
    if (value !== undefined) lines.push(`${tag}: ${value}\n`);
  };
  line("StorePath", checkAbsolute(info.storePath, storeDir));
  line("URL", checkUrl(info.url));
  line("Compression", info.compression === undefined ? undefined : checkWord("Compression", info.compression));
  line("FileHash", info.fileHash === undefined ? undefined : formatNix32(info.fileHash));
  line("FileSize", info.fileSize === undefined ? undefined : checkNotEmpty("FileSize", info.fileSize));
  line("NarHash", formatNix32(checkSha256("NarHash", info.narHash)));
  line("NarSize", checkNotEmpty("NarSize", info.narSize));
  line("References", info.references.map(checkBaseName).join(" "));
  line("Deriver", info.deriver === undefined ? undefined : checkBaseName(info.deriver));
  line("System", info.system === undefined ? undefined : checkWord("System", info.system));
  for (const signature of info.signatures) line("Sig", formatSignature(signature));
  line("CA", info.ca === undefined ? undefined : formatContentAddress(info.ca));
  return lines.join("");
}

function checkAbsolute(path: string, storeDir: string): string {
  checkStorePath(path, storeDir);
  if (!path.startsWith("/")) throw new StoreError("invalid", `StorePath is not absolute: ${quote(path)}`);
  return path;
}

function checkBaseName(text: string): string {
  checkStorePath(text);
  if (text.startsWith("/")) throw new StoreError("invalid", `not the base name of a store path: ${quote(text)}`);
  return text;
}

const WORD = /^[^\s\p{Cc}]+$/u;

/** Checks free text. Nothing in it may end the line or get lost at its edges. */
function checkWord(tag: string, text: string): string {
  if (!WORD.test(text)) throw new StoreError("invalid", `${tag} is empty or has blanks: ${quote(text)}`);
  return text;
}

/** Checks a URL. Blanks inside are part of it, as in Nix. */
function checkUrl(text: string): string {
  if (!/^[^\p{Cc}]+$/u.test(text)) throw new StoreError("invalid", `URL is empty or has control characters: ${quote(text)}`);
  return text;
}

/** Reads a number as Nix does: a plus sign and zeros may come first. */
function readSize(tag: string, text: string): number {
  return checkSize(tag, Number(readDigits(tag, text)));
}

/** Reads 64 bits as Nix does. Nothing depends on this size, so one past 2^53 is just unknown. */
function readFileSize(text: string): number | undefined {
  const digits = readDigits("FileSize", text);
  if (digits.length > 20 || BigInt(digits) >= 2n ** 64n)
    throw new StoreError("invalid", `FileSize is more than 64 bits: ${quote(text)}`);
  const size = Number(digits);
  return Number.isSafeInteger(size) && size > 0 ? size : undefined;
}

function readDigits(tag: string, text: string): string {
  const [, digits] = /^\+?0*([0-9]+)$/.exec(text) ?? [];
  if (digits === undefined) throw new StoreError("invalid", `${tag} is not a number of bytes: ${quote(text)}`);
  return digits;
}

function checkSize(tag: string, size: number): number {
  if (!Number.isSafeInteger(size) || size < 0) throw new StoreError("invalid", `${tag} is not a number of bytes: ${size}`);
  return size;
}

/** Refuses 0. No NAR is empty; Nix writes 0 for a size that it doesn't know. */
function checkNotEmpty(tag: string, size: number): number {
  if (checkSize(tag, size) === 0) throw new StoreError("invalid", `${tag} is 0`);
  return size;
}

function readHash(tag: string, text: string): NixHash {
  try {
    return parseHash(text);
  } catch (cause) {
    throw new StoreError("invalid", `${tag} is not a hash: ${quote(text)}`, { cause });
  }
}

function checkSha256(tag: string, hash: NixHash): NixHash {
  if (hash.algorithm !== "sha256") throw new StoreError("invalid", `${tag} is a ${hash.algorithm}, not a sha256`);
  return hash;
}
