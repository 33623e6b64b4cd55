import { quote } from "../bytes.ts";
import { checkNode } from "../castore/node.ts";
import { isStoreError, StoreError } from "../error.ts";
import { formatContentAddress, parseContentAddress, parseKnownContentAddress } from "../nix/content-address.ts";
import { formatSri, parseHash } from "../nix/hash.ts";
import { formatSignature, parseSignature } from "../nix/signature.ts";
import { formatStorePath, parseStorePath, storePathBaseName } from "../nix/store-path.ts";
import type { NarSizeAndHash } from "./nar.ts";
import type { PathInfo } from "./path-info.ts";

/** NARInfo's way to say that there is no deriver. */
const UNKNOWN_DERIVER = "unknown-deriver";

/**
 * Checks every rule of a PathInfo that needs no content: each text parses, and has the one form
 * that `PathInfo` documents.
 *
 * @throws StoreError `invalid` if a rule is broken; the message names the store path
 */
export function checkPathInfo(info: PathInfo): void {
  about(info.storePath, () => {
    expectForm("store path", info.storePath, canonicalStorePath(info.storePath));
    checkNode(info.node);
    expectForm("NAR hash", info.narHash, canonicalNarHash(info.narHash));
    // Nix writes 0 for an unknown size; no NAR is empty.
    if (!Number.isSafeInteger(info.narSize) || info.narSize <= 0)
      throw new StoreError("invalid", `NAR size ${info.narSize} is out of range`);
    checkReferences(info.references);
    if (info.deriver !== undefined) expectForm("deriver", info.deriver, canonicalBaseName(info.deriver));
    if (info.ca !== undefined) expectForm("content address", info.ca, canonicalContentAddress(info.ca));
    for (const signature of info.signatures) expectForm("signature", signature, canonicalSignature(signature));
  });
}

/**
 * Converts a PathInfo from any form that Nix writes to the form that `checkPathInfo` demands.
 * Hashes may have any encoding. References and deriver may be absolute paths or base names.
 * References may be unsorted and repeated. A content address of an unknown kind is omitted.
 *
 * @throws StoreError `invalid` if a value can't be converted; the message names the store path
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

/**
 * Checks that the calculated size and hash are those that `info` states.
 *
 * @throws StoreError `corrupt` if one differs
 */
export function checkNarSizeAndHash(info: Pick<PathInfo, "storePath" | keyof NarSizeAndHash>, actual: NarSizeAndHash): void {
  if (actual.narSize !== info.narSize) {
    throw new StoreError("corrupt", `the NAR of ${info.storePath} has ${actual.narSize} bytes instead of ${info.narSize}`);
  }
  if (actual.narHash !== info.narHash) {
    throw new StoreError("corrupt", `the NAR of ${info.storePath} has the hash ${actual.narHash} instead of ${info.narHash}`);
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
  if (actual !== canonical) throw new StoreError("invalid", `${what} ${quote(actual)} must be written as ${quote(canonical)}`);
}

/**
 * Checks form and order. Store paths are ASCII, so the order of UTF-16 code units equals that of
 * bytes.
 */
function checkReferences(references: readonly string[]): void {
  let previous: string | undefined;
  for (const reference of references) {
    expectForm("reference", reference, canonicalBaseName(reference));
    if (previous !== undefined && previous >= reference) {
      const fault = previous === reference ? "is listed twice" : "is out of order";
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
  if (hash.algorithm !== "sha256") throw new StoreError("invalid", `NAR hash ${quote(text)} is not a SHA-256 hash`);
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
