/**
 * Entry point `tvix-store-web/nix`: Nix's own formats, as functions and classes without I/O. They
 * take and give bytes and streams, and run in any runtime.
 */
export {
  type ContentAddress,
  type ContentAddressMethod,
  formatContentAddress,
  parseContentAddress,
  parseKnownContentAddress,
} from "./content-address.ts";
export { type ContentAddressOptions, compressHash, storePathFromContentAddress } from "./content-addressed-path.ts";
export {
  checkDerivation,
  type Derivation,
  type DerivationOutput,
  type DerivationText,
  type OutputMethod,
} from "./derivation.ts";
export { DERIVATION_MAX_LENGTH, formatDerivation, parseDerivation } from "./derivation-file.ts";
export { derivationFromJson, derivationsFromJson } from "./derivation-from-json.ts";
export {
  type DerivationInputJson,
  type DerivationJson,
  type DerivationJson4,
  type DerivationOutputJson4,
  derivationToJson,
  formatDerivationJson,
} from "./derivation-json.ts";
export {
  type DerivationHash,
  derivationPath,
  hashDerivation,
  type InputHash,
  outputPaths,
  withOutputPaths,
} from "./derivation-paths.ts";
export type { DynamicOutputs, NeededOutputs } from "./dynamic-outputs.ts";
export { generateSecretKey, sign, verify } from "./ed25519.ts";
export { type FingerprintInput, fingerprint } from "./fingerprint.ts";
export {
  formatHex,
  formatNix32,
  formatSri,
  HASH_LENGTHS,
  type HashAlgorithm,
  isHashAlgorithm,
  type NixHash,
  parseHash,
} from "./hash.ts";
export { hashBytes } from "./hash-bytes.ts";
export {
  formatPublicKey,
  formatSecretKey,
  type PublicKey,
  parsePublicKey,
  parsePublicKeys,
  parseSecretKey,
  publicKeyOf,
  type SecretKey,
} from "./key.ts";
export { NAR_MAX_NAME_LENGTH, NAR_MAX_TARGET_LENGTH } from "./nar-grammar.ts";
export {
  listNar,
  type NarListing,
  type NarListingEntry,
  type NarListingJson,
  type NarListingJsonNode,
  type NarListingNode,
  type NarListingOptions,
  narListingToJson,
} from "./nar-listing.ts";
export { type NarHandler, type NarLimits, NarParser } from "./nar-parser.ts";
export { NAR_DIRECTORY_SIZE, NAR_HEADER_SIZE, narEntrySize, narFileSize, narSymlinkSize } from "./nar-size.ts";
export { NarWriter } from "./nar-writer.ts";
export { formatNarInfo, NARINFO_MAX_LENGTH, type NarInfo, parseNarInfo } from "./narinfo.ts";
export { formatNarioInfo, NARIO_END, NARIO_PATH_START, type NarioInfo, NarioReader } from "./nario.ts";
export { decodeNixbase32, encodeNixbase32, nixbase32Length } from "./nixbase32.ts";
export { ReferenceScanner } from "./reference-scanner.ts";
export { formatSignature, parseSignature, SIGNATURE_LENGTH, type Signature } from "./signature.ts";
export {
  checkStorePathName,
  formatStorePath,
  parseHashPart,
  parseStorePath,
  STORE_DIR,
  STORE_PATH_DIGEST_LENGTH,
  type StorePath,
  storePathBaseName,
  storePathHashPart,
} from "./store-path.ts";
