import { toBase64 } from "../bytes.ts";
import { type ContentAddressMethod, parseContentAddress } from "../nix/content-address.ts";
import { formatSri } from "../nix/hash.ts";
import { parseSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath, STORE_DIR, storePathBaseName } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * The formats in which `nix path-info --json` writes path infos:
 *
 * - `array`: as Nix up to 2.18.
 * - `object`: as Nix 2.19 to 2.32, an object keyed by absolute path. Unknown facts are omitted.
 * - `1`, `2`, `3`: the versions that `--json-format` selects since Nix 2.33. Version 1 is an object
 *   keyed by absolute path. Version 2 adds a frame, and uses base names and an object for the
 *   content address. Version 3, which came with Nix 2.35, also uses objects for signatures. Hashes
 *   are SRI text in all versions.
 */
export type PathInfoJsonFormat = "array" | "object" | 1 | 2 | 3;

export const PATH_INFO_JSON_FORMATS: readonly PathInfoJsonFormat[] = ["array", "object", 1, 2, 3];

/** Facts about a store path in the format of Nix up to 2.32. */
export interface PathInfoJson {
  /** Absolute path; absent if the path infos are keyed by path. */
  readonly path?: string;
  /** SHA-256 of the NAR in SRI form. */
  readonly narHash: string;
  readonly narSize: number;
  /** Absolute paths. */
  readonly references: readonly string[];
  readonly ca?: string;
  /** Absolute path. */
  readonly deriver?: string;
  readonly signatures?: readonly string[];
}

interface VersionedFacts<Version extends number> {
  readonly version: Version;
  readonly storeDir: string;
  /** SHA-256 of the NAR in SRI form. */
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
  readonly deriver: string | null;
  /** Always `null`: the time is unknown here. */
  readonly registrationTime: null;
  /** Whether this machine built the path. Always `false`: it is unknown here. */
  readonly ultimate: false;
}

/** Facts about a store path in format 1 of Nix 2.33 and later. Paths are absolute. */
export interface PathInfoJson1 extends VersionedFacts<1> {
  readonly ca: string | null;
  readonly signatures: readonly string[];
}

export interface ContentAddressJson {
  readonly method: ContentAddressMethod;
  /** Hash in SRI form. */
  readonly hash: string;
}

/** Facts about a store path in format 2. Paths are base names. */
export interface PathInfoJson2 extends VersionedFacts<2> {
  readonly ca: ContentAddressJson | null;
  readonly signatures: readonly string[];
}

export interface SignatureJson {
  readonly keyName: string;
  /** Signature as base64. */
  readonly sig: string;
}

/** Facts about a store path in format 3. Paths are base names. */
export interface PathInfoJson3 extends VersionedFacts<3> {
  readonly ca: ContentAddressJson | null;
  readonly signatures: readonly SignatureJson[];
}

/** The frame around the path infos in formats 2 and 3. */
export interface PathInfoJsonFrame<Version extends 2 | 3, Info> {
  readonly version: Version;
  readonly storeDir: string;
  /** Path infos by base name. */
  readonly info: Readonly<Record<string, Info>>;
}

/** Converts path infos to Nix's JSON. `parsePathGraph` reads each of the formats. */
export function pathInfosToJson(infos: readonly PathInfo[], format: "array"): PathInfoJson[];
export function pathInfosToJson(infos: readonly PathInfo[], format: "object"): Record<string, PathInfoJson>;
export function pathInfosToJson(infos: readonly PathInfo[], format: 1): Record<string, PathInfoJson1>;
export function pathInfosToJson(infos: readonly PathInfo[], format: 2): PathInfoJsonFrame<2, PathInfoJson2>;
export function pathInfosToJson(infos: readonly PathInfo[], format: 3): PathInfoJsonFrame<3, PathInfoJson3>;
export function pathInfosToJson(infos: readonly PathInfo[], format: PathInfoJsonFormat): unknown;
export function pathInfosToJson(infos: readonly PathInfo[], format: PathInfoJsonFormat): unknown {
  switch (format) {
    case "array":
      return infos.map((info) => ({ path: info.storePath, ...knownFacts(info) }));
    case "object":
      return record(infos, absolute, knownFacts);
    case 1:
      return record(infos, absolute, facts1);
    case 2:
      return { info: record(infos, baseName, facts2), storeDir: STORE_DIR, version: 2 };
    case 3:
      return { info: record(infos, baseName, facts3), storeDir: STORE_DIR, version: 3 };
  }
}

function record<T>(
  infos: readonly PathInfo[],
  key: (path: string) => string,
  facts: (info: PathInfo) => T,
): Readonly<Record<string, T>> {
  return Object.fromEntries(infos.map((info) => [key(info.storePath), facts(info)]));
}

function knownFacts({ narHash, narSize, references, ca, deriver, signatures }: PathInfo): PathInfoJson {
  return {
    narHash,
    narSize,
    references: references.map(absolute),
    ...(ca !== undefined && { ca }),
    ...(deriver !== undefined && { deriver: absolute(deriver) }),
    ...(signatures.length > 0 && { signatures }),
  };
}

function facts1({ ca, deriver, narHash, narSize, references, signatures }: PathInfo): PathInfoJson1 {
  return {
    ca: ca ?? null,
    deriver: deriver === undefined ? null : absolute(deriver),
    narHash,
    narSize,
    references: references.map(absolute),
    registrationTime: null,
    signatures,
    storeDir: STORE_DIR,
    ultimate: false,
    version: 1,
  };
}

function facts2(info: PathInfo): PathInfoJson2 {
  const { ca, deriver, references } = info;
  const address = ca === undefined ? null : contentAddressToJson(ca);
  return { ...facts1(info), ca: address, deriver: deriver ?? null, references, version: 2 };
}

function facts3(info: PathInfo): PathInfoJson3 {
  return { ...facts2(info), signatures: info.signatures.map(signatureToJson), version: 3 };
}

function contentAddressToJson(text: string): ContentAddressJson {
  const { method, hash } = parseContentAddress(text);
  return { hash: formatSri(hash), method };
}

function signatureToJson(text: string): SignatureJson {
  const { name, data } = parseSignature(text);
  return { keyName: name, sig: toBase64(data) };
}

function absolute(path: string): string {
  return formatStorePath(parseStorePath(path));
}

function baseName(path: string): string {
  return storePathBaseName(parseStorePath(path));
}
