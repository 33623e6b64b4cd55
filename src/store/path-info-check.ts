import { quote } from "../bytes.ts";
import { checkNode } from "../castore/node.ts";
import { isStoreError, StoreError } from "../error.ts";
import { formatContentAddress, parseContentAddress, parseKnownContentAddress } from "../nix/content-address.ts";
import { formatSri, parseHash } from "../nix/hash.ts";
import { formatSignature, parseSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import type { NarSizeAndHash } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";

/** How NARInfo files say that there is no deriver. */
const UNKNOWN_DERIVER = "unknown-deriver";

/**
 * Checks every rule of a PathInfo that needs no content: each text parses, and is the one form that `PathInfo` documents.
 *
 * @throws StoreError `invalid`, naming the store path
 */
export function checkPathInfo(info: PathInfo): void {
  about(info.storePath, () => {
    expectForm("store path", info.storePath, canonicalStorePath(info.storePath));
    checkNode(info.node);
    expectForm("NAR hash", info.narHash, canonicalNarHash(info.narHash));
    // Nix writes 0 for a size that it doesn't know; no NAR is empty.
    if (!Number.isSafeInteger(info.narSize) || info.narSize <= 0) throw new StoreError("invalid", `NAR size ${info.narSize}`);
    checkReferences(info.references);
    if (info.deriver !== undefined) expectForm("deriver", info.deriver, canonicalBaseName(info.deriver));
    if (info.ca !== undefined) expectForm("content address", info.ca, canonicalContentAddress(info.ca));
    for (const signature of info.signatures) expectForm("signature", signature, canonicalSignature(signature));
  });
}

/**
 * The same PathInfo in the forms that `checkPathInfo` demands, from any in which Nix writes it:
 * hashes in any encoding, references and deriver as absolute paths or base names, in any order,
 * more than once. A content address of a kind that we don't know is left out.
 *
 * @throws StoreError `invalid`, naming the store path
 */
export function normalizePathInfo(info: PathInfo): PathInfo {
  return about(info.storePath, () => {
    const normal: PathInfo = {
      storePath: canonicalStorePath(info.storePath),
      node: info.node,
      narHash: canonicalNarHash(info.narHash),
      narSize: info.narSize,
      references: [...new Set(info.references.map(canonicalBaseName))].sort(),
      deriver: info.deriver === undefined || info.deriver === UNKNOWN_DERIVER ? undefined : canonicalBaseName(info.deriver),
      ca: info.ca === undefined ? undefined : knownContentAddress(info.ca),
      signatures: [...new Set(info.signatures.map(canonicalSignature))],
    };
    checkPathInfo(normal);
    return normal;
  });
}

/** Checks the size and hash that were calculated against those that `info` claims. @throws StoreError `corrupt` */
export function checkNarSizeAndHash(info: PathInfo, actual: NarSizeAndHash): void {
  if (actual.narSize !== info.narSize) {
    throw new StoreError("corrupt", `the NAR of ${info.storePath} has ${actual.narSize} bytes instead of ${info.narSize}`);
  }
  if (actual.narHash !== info.narHash) {
    throw new StoreError("corrupt", `the NAR of ${info.storePath} has hash ${actual.narHash} instead of ${info.narHash}`);
  }
}

function about<T>(storePath: string, check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (!isStoreError(error, "invalid")) throw error;
    throw new StoreError("invalid", `path info of ${quote(storePath)}: ${error.message}`, { cause: error });
  }
}

function expectForm(what: string, actual: string, canonical: string): void {
  if (actual !== canonical) throw new StoreError("invalid", `${what} ${quote(actual)} is not in the form ${quote(canonical)}`);
}

/** Store paths are ASCII, so the order of UTF-16 code units is the bytewise one. */
function checkReferences(references: readonly string[]): void {
  let previous: string | undefined;
  for (const reference of references) {
    expectForm("reference", reference, canonicalBaseName(reference));
    if (previous !== undefined && previous >= reference) {
      const fault = previous === reference ? "is there twice" : "is out of order";
      throw new StoreError("invalid", `reference ${quote(reference)} ${fault}`);
    }
    previous = reference;
  }
}

function canonicalStorePath(text: string): string {
  return formatStorePath(parseStorePath(text));
}

function canonicalBaseName(text: string): string {
  return storePathBaseName(parseStorePath(text));
}

function canonicalNarHash(text: string): string {
  const hash = parseHash(text);
  if (hash.algorithm !== "sha256") throw new StoreError("invalid", `NAR hash ${quote(text)} is not a sha256`);
  return formatSri(hash);
}

function canonicalContentAddress(text: string): string {
  return formatContentAddress(parseContentAddress(text));
}

function knownContentAddress(text: string): string | undefined {
  const address = parseKnownContentAddress(text);
  return address && formatContentAddress(address);
}

function canonicalSignature(text: string): string {
  return formatSignature(parseSignature(text));
}
