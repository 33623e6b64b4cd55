import { decodeUtf8Strict } from "../bytes.ts";
import { StoreError } from "../error.ts";
import {
  type ContentAddress,
  type ContentAddressMethod,
  formatContentAddress,
  parseContentAddress,
} from "../nix/content-address.ts";
import { HASH_LENGTHS, type HashAlgorithm, parseHash } from "../nix/hash.ts";

/** Common form of the `NARInfo.CA` of tvix and of snix. */
export interface ContentAddressMessage {
  type: number;
  digest: Uint8Array;
}

/** Method and algorithm for each number of the enum `NARInfo.CA.Hash`. */
const KINDS: readonly (readonly [ContentAddressMethod, HashAlgorithm])[] = [
  ["nar", "sha256"],
  ["nar", "sha1"],
  ["nar", "sha512"],
  ["nar", "md5"],
  ["text", "sha256"],
  ["flat", "sha1"],
  ["flat", "md5"],
  ["flat", "sha256"],
  ["flat", "sha512"],
];

/**
 * Reads a content address and formats it as in a NARInfo file.
 *
 * @throws StoreError `invalid`
 */
export function contentAddressFromMessage(message: ContentAddressMessage): string {
  const kind = KINDS[message.type];
  if (!kind) throw new StoreError("invalid", `content address has the unknown type ${message.type}`);
  const [method, algorithm] = kind;
  return formatContentAddress({ method, hash: { algorithm, digest: readDigest(message.digest, algorithm) } });
}

/**
 * Reads the digest. For a while tvix wrote the text `sha256-<base64>` in place of the digest, and
 * such entries still exist.
 */
function readDigest(bytes: Uint8Array, algorithm: HashAlgorithm): Uint8Array {
  if (bytes.length === HASH_LENGTHS[algorithm]) return bytes;
  const text = algorithm === "sha256" ? decodeUtf8Strict(bytes) : undefined;
  if (text?.startsWith("sha256-")) return parseHash(text).digest;
  throw new StoreError("invalid", `content address has a ${algorithm} digest of ${bytes.length} bytes`);
}

/**
 * Converts a content address in text form. Returns `undefined` for a kind that the message has no
 * type for: a git or a BLAKE3 address.
 *
 * @throws StoreError `invalid` if `text` is not a content address
 */
export function contentAddressToMessage(text: string): ContentAddressMessage | undefined {
  const { method, hash }: ContentAddress = parseContentAddress(text);
  const type = KINDS.findIndex((kind) => kind[0] === method && kind[1] === hash.algorithm);
  return type < 0 ? undefined : { type, digest: hash.digest };
}
