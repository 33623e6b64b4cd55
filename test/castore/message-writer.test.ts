import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { MessageWriter, varintLength } from "../../src/castore/message-writer.ts";

/** Numbers around each limit of a varint's length, and of what a number holds exactly. */
const NUMBERS = [0n, 1n, 127n, 128n, 255n, 16_383n, 16_384n, 2n ** 21n - 1n, 2n ** 21n, 2n ** 31n, 2n ** 32n, 2n ** 35n - 1n]
  .concat([2n ** 42n, 2n ** 49n - 1n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 56n - 1n, 2n ** 56n, 2n ** 63n - 1n])
  .concat([2n ** 63n, 2n ** 64n - 1n]);

/** Bytes of a varint, as the protobuf library writes it. */
const expected = (value: bigint): Uint8Array => new BinaryWriter().uint64(value).finish();

function written(value: number | bigint): Uint8Array {
  const writer = new MessageWriter(varintLength(value));
  writer.varint(value);
  return writer.bytes;
}

describe("a varint equals that of the protobuf library", () => {
  test.each(NUMBERS)("%d", (value) => {
    expect(written(value)).toEqual(expected(value));
    if (value <= Number.MAX_SAFE_INTEGER) expect(written(Number(value))).toEqual(expected(value));
  });
});

test("fields follow each other", () => {
  const name = new Uint8Array(200).fill(7);
  const writer = new MessageWriter(1 + 2 + 200 + 1 + 1 + 1 + 1);
  writer.field(1, name);
  writer.tag(15, WireType.Varint);
  writer.varint(5);
  writer.field(2, new Uint8Array(0));
  const library = new BinaryWriter();
  library.tag(1, WireType.LengthDelimited).bytes(name).tag(15, WireType.Varint).uint64(5);
  library.tag(2, WireType.LengthDelimited).bytes(new Uint8Array(0));
  expect(writer.bytes).toEqual(library.finish());
});
