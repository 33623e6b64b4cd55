import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import { toHex, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { PathInfoSchema } from "../../src/wire/gen/tvix/store/v1/pathinfo_pb.ts";
import { addExtensions, readExtensions } from "../../src/wire/path-info-extensions.ts";
import { encodePathInfo } from "../../src/wire/stored-messages.ts";

const PROTOS = join(import.meta.dirname, "../../protos");

const INFO: PathInfo = {
  storePath: "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-hello-2.12",
  node: { kind: "file", digest: digestOf(utf8("content")), size: 7n, executable: true },
  narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
  narSize: 123,
  references: ["1b9p07z77phvv2hf6gm9f28syp39f1ag-glibc"],
  deriver: "1b9p07z77phvv2hf6gm9f28syp39f1ag-no-derivation",
  ca: "fixed:git:sha1:993998wwkrzrcmpp0slxpa0b0cjkc0ff",
  signatures: [],
};

/** A peer that knows only tvix's or snix's messages, and uses another protobuf library. */
function peer(family: "tvix" | "snix"): protobuf.Type {
  const root = new protobuf.Root();
  root.resolvePath = (_origin, target) => (target.startsWith("/") ? target : join(PROTOS, target));
  root.loadSync(`${family}/store/v1/pathinfo.proto`);
  return root.lookupType(`${family}.store.v1.PathInfo`);
}

test.each(["tvix", "snix"] as const)("%s's own message does not change without our extensions", (family) => {
  const type = peer(family);
  const { ca: _ca, deriver: _deriver, ...known } = INFO;
  const received = type.decode(encodePathInfo(INFO));
  expect(received.toJSON()).toEqual(type.decode(encodePathInfo(known)).toJSON());
  expect(received.toJSON()).toMatchObject({ narinfo: { narSize: "123", referenceNames: INFO.references } });
  // When the peer encodes the message again, the result is an ordinary PathInfo.
  expect(toHex(type.encode(received).finish())).toBe(toHex(encodePathInfo(known)));
});

test("the facts are read again from the bytes of a message, each on its own", () => {
  for (const extensions of [{ contentAddress: "a", deriver: "b" }, { contentAddress: "a" }, { deriver: "b" }]) {
    const message = addExtensions(PathInfoSchema, create(PathInfoSchema), extensions);
    const received = fromBinary(PathInfoSchema, toBinary(PathInfoSchema, message));
    expect(readExtensions(received)).toEqual({ contentAddress: undefined, deriver: undefined, ...extensions });
  }
});

test("a message without the facts stays as it is", () => {
  const message = create(PathInfoSchema);
  for (const extensions of [{}, { contentAddress: "", deriver: "" }, { contentAddress: undefined }])
    expect(toBinary(PathInfoSchema, addExtensions(PathInfoSchema, message, extensions))).toHaveLength(0);
  expect(readExtensions(message)).toEqual({});
  expect(readExtensions({ $unknown: [] })).toEqual({});
});

test("other unknown fields are ignored, and the known ones must have their type", () => {
  const other = { no: 999, wireType: 0, data: Uint8Array.of(1) };
  expect(readExtensions({ $unknown: [other] })).toEqual({ contentAddress: undefined, deriver: undefined });
  const [field] =
    fromBinary(PathInfoSchema, toBinary(PathInfoSchema, addExtensions(PathInfoSchema, create(PathInfoSchema), { deriver: "b" })))
      .$unknown ?? [];
  if (!field) throw new Error("the deriver is missing");
  expect(readExtensions({ $unknown: [other, field] }).deriver).toBe("b");
  const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });
  // A text that is longer than its bytes, and one that is not UTF-8.
  for (const data of [Uint8Array.of(9, 0x61), Uint8Array.of(2, 0xff, 0xfe)])
    expect(() => readExtensions({ $unknown: [{ ...field, data }] })).toThrow(invalid);
});
