import { toBase64 } from "../bytes.ts";
import { type ContentAddressMethod, parseContentAddress } from "../nix/content-address.ts";
import { formatSri } from "../nix/hash.ts";
import { parseSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath, STORE_DIR, storePathBaseName } from "../nix/store-path.ts";
import type { PathInfo } from "./path-info.ts";

/**
 * How `nix path-info --json` writes path infos:
 *
 * - `array`: as up to Nix 2.18.
 * - `object`: an object by absolute path, as from 2.19 to 2.32. Unknown facts are left out.
 * - `1`, `2`, `3`: the versions that `--json-format` selects since Nix 2.33. 1 is an object by
 *   absolute path. 2 has a frame, base names, and the content address as an object. In 3, which
 *   came with Nix 2.35, signatures are objects too. A hash is an SRI text in all of them.
 */
export type PathInfoJsonFormat = "array" | "object" | 1 | 2 | 3;

export const PATH_INFO_JSON_FORMATS: readonly PathInfoJsonFormat[] = ["array", "object", 1, 2, 3];

/** What Nix up to 2.32 says of a store path. */
export interface PathInfoJson {
  /** Absolute; not where the path infos are keyed by it. */
  readonly path?: string;
  /** SRI. */
  readonly narHash: string;
  readonly narSize: number;
  /** Absolute. */
  readonly references: readonly string[];
  readonly ca?: string;
  /** Absolute. */
  readonly deriver?: string;
  readonly signatures?: readonly string[];
}

interface VersionedFacts<Version extends number> {
  readonly version: Version;
  readonly storeDir: string;
  /** SRI. */
  readonly narHash: string;
  readonly narSize: number;
  readonly references: readonly string[];
  readonly deriver: string | null;
  /** Not known here. */
  readonly registrationTime: null;
  /** Whether this machine built the path, which is not known here either. */
  readonly ultimate: false;
}

/** What Nix 2.33 and later says of a store path in format 1. Paths are absolute. */
export interface PathInfoJson1 extends VersionedFacts<1> {
  readonly ca: string | null;
  readonly signatures: readonly string[];
}

export interface ContentAddressJson {
  readonly method: ContentAddressMethod;
  /** SRI. */
  readonly hash: string;
}

/** The same in format 2. Paths are base names. */
export interface PathInfoJson2 extends VersionedFacts<2> {
  readonly ca: ContentAddressJson | null;
  readonly signatures: readonly string[];
}

export interface SignatureJson {
  readonly keyName: string;
  /** Base64. */
  readonly sig: string;
}

/** The same in format 3. Paths are base names. */
export interface PathInfoJson3 extends VersionedFacts<3> {
  readonly ca: ContentAddressJson | null;
  readonly signatures: readonly SignatureJson[];
}

/** What is around path infos in the formats 2 and 3. */
export interface PathInfoJsonFrame<Version extends 2 | 3, Info> {
  readonly version: Version;
  readonly storeDir: string;
  /** By base name. */
  readonly info: Readonly<Record<string, Info>>;
}

/** Path infos as Nix's JSON has them. `parsePathGraph` reads each of the formats. */
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
