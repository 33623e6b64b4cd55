import { expect, test } from "vitest";
import { toBase64, utf8 } from "../../src/bytes.ts";
import { type ContentAddressMethod, formatContentAddress } from "../../src/nix/content-address.ts";
import { HASH_LENGTHS, type HashAlgorithm } from "../../src/nix/hash.ts";
import { contentAddressFromMessage, contentAddressToMessage } from "../../src/wire/content-address-message.ts";
import { NARInfo_CA_Hash as SnixHash } from "../../src/wire/gen/snix/store/v1/pathinfo_pb.ts";
import { NARInfo_CA_Hash as TvixHash } from "../../src/wire/gen/tvix/store/v1/pathinfo_pb.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

/** Makes a content address in its text form. */
function text(method: ContentAddressMethod, algorithm: HashAlgorithm): string {
  return formatContentAddress({ method, hash: { algorithm, digest: new Uint8Array(HASH_LENGTHS[algorithm]).fill(3) } });
}

const KINDS: readonly (readonly [ContentAddressMethod, HashAlgorithm, keyof typeof TvixHash])[] = [
  ["nar", "sha256", "NAR_SHA256"],
  ["nar", "sha1", "NAR_SHA1"],
  ["nar", "sha512", "NAR_SHA512"],
  ["nar", "md5", "NAR_MD5"],
  ["text", "sha256", "TEXT_SHA256"],
  ["flat", "sha1", "FLAT_SHA1"],
  ["flat", "md5", "FLAT_MD5"],
  ["flat", "sha256", "FLAT_SHA256"],
  ["flat", "sha512", "FLAT_SHA512"],
];

test.each(KINDS)("%s %s has the type that the protocols name %s", (method, algorithm, name) => {
  const ca = text(method, algorithm);
  const message = contentAddressToMessage(ca);
  expect(message?.type).toBe(TvixHash[name]);
  expect(message?.type).toBe(SnixHash[name]);
  expect(message && contentAddressFromMessage(message)).toBe(ca);
});

test.each([
  ["git", "sha1"],
  ["git", "sha256"],
  ["nar", "blake3"],
  ["flat", "blake3"],
] as const)("%s %s has no type", (method, algorithm) => {
  expect(contentAddressToMessage(text(method, algorithm))).toBeUndefined();
});

test.each(["", "fixed:sha256:x", "text:md5:5k3537sv5p3dmsj6l9n59sm9f9", "sha256:x"])("not a content address: %j", (ca) => {
  expect(() => contentAddressToMessage(ca)).toThrow(invalid);
});

test.each([-1, 9, 1.5])("the type %d is unknown", (type) => {
  expect(() => contentAddressFromMessage({ type, digest: new Uint8Array(32) })).toThrow(invalid);
});

test("a digest must have the length of its algorithm", () => {
  for (const length of [0, 31, 33])
    expect(() => contentAddressFromMessage({ type: 0, digest: new Uint8Array(length) })).toThrow(invalid);
  expect(() => contentAddressFromMessage({ type: 1, digest: new Uint8Array(32) })).toThrow(invalid);
});

test("the text of a SHA-256 in place of the digest is read, as tvix wrote it, and no other text", () => {
  const digest = new Uint8Array(32).fill(3);
  const sri = (algorithm: string, bytes = digest) => utf8(`${algorithm}-${toBase64(bytes)}`);
  expect(contentAddressFromMessage({ type: 0, digest: sri("sha256") })).toBe(text("nar", "sha256"));
  expect(contentAddressFromMessage({ type: 4, digest: sri("sha256") })).toBe(text("text", "sha256"));
  for (const [type, bytes] of [
    [1, sri("sha1", new Uint8Array(20))],
    [0, sri("sha512", new Uint8Array(64))],
    [0, sri("sha256", new Uint8Array(31))],
    [0, utf8(`sha256:${"0".repeat(52)}`)],
    [0, utf8("sha256-????")],
  ] as const)
    expect(() => contentAddressFromMessage({ type, digest: bytes })).toThrow(invalid);
});
