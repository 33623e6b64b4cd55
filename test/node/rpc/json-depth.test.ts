import { expect, test } from "vitest";
import { concatBytes, utf8 } from "../../../src/bytes.ts";
import { withBoundedDepth } from "../../../src/node/rpc/json-depth.ts";

/** Passes the bytes in pieces of a length. Resolves to what came out. */
async function pass(bytes: Uint8Array, isStream: boolean, piece = bytes.length): Promise<Uint8Array> {
  const source = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += piece) yield bytes.subarray(at, at + piece);
  };
  const out: Uint8Array[] = [];
  for await (const part of withBoundedDepth(source(), isStream)) out.push(part);
  return concatBytes(out);
}

function message(text: string): Uint8Array {
  const prefix = new Uint8Array(5);
  new DataView(prefix.buffer).setUint32(1, utf8(text).length);
  return concatBytes([prefix, utf8(text)]);
}

const nested = (depth: number, open = "[", close = "]"): string => open.repeat(depth) + close.repeat(depth);
const invalid = { name: "StoreError", code: "invalid" };

test.each([
  nested(100),
  nested(100, '{"a":', "}"),
  `[${Array(200).fill("[]").join()}]`,
  `"${"[".repeat(200)}"`,
  `["\\"${"[".repeat(200)}", "\\\\"]`,
  "]]]]",
  "",
])("%.20s passes, whole or in pieces", async (text) => {
  for (const piece of [1, 3, 1000]) {
    expect(await pass(utf8(text), false, piece)).toEqual(utf8(text));
    const stream = concatBytes([message(text), message(""), message(text)]);
    expect(await pass(stream, true, piece)).toEqual(stream);
  }
});

test.each(["[".repeat(101), '{"a":'.repeat(101), `["\\\\"${"[".repeat(100)}`])("%.20s is nested too deeply", async (text) => {
  for (const piece of [1, 3, 1000]) {
    await expect(pass(utf8(text), false, piece)).rejects.toMatchObject(invalid);
    await expect(pass(concatBytes([message(nested(100)), message(text)]), true, piece)).rejects.toMatchObject(invalid);
  }
});

test("each message of a stream begins anew, whatever its length", async () => {
  // The length of a message may have the bytes of brackets.
  const open = message("[".repeat(99));
  const long = message(`"${"x".repeat(0x5b5b)}"`);
  const stream = concatBytes([open, open, long, long, ...Array(101).fill(message(" ".repeat(0x5b)))]);
  expect(await pass(stream, true)).toEqual(stream);
});
