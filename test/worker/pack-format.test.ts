import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import { isStoreError } from "../../src/error.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { decodePathInfo } from "../../src/wire/stored-messages.ts";
import { BLOB, CHUNK, DIRECTORY, type ObjectKind } from "../../src/worker/object-table.ts";
import { EntryWriter } from "../../src/worker/pack-entries.ts";
import {
  decodeHeader,
  decodeTrailer,
  encodeHeader,
  encodeTrailer,
  FOOTER_LENGTH,
  HEADER_LENGTH,
  packedPathInfo,
  pathInfosRange,
  splitPathInfos,
  trailerLength,
} from "../../src/worker/pack-format.ts";

const HEADER = { store: "b6b520a8-28c4-4a2f-ad94-889053eee12c", created: 1_795_000_000_123 };
const OBJECTS: readonly [ObjectKind, Uint8Array][] = [
  [CHUNK, utf8("a chunk")],
  [DIRECTORY, utf8("")],
  [BLOB, utf8("a list of chunks")],
];
const INFO: PathInfo = {
  storePath: "/nix/store/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello",
  node: { kind: "symlink", target: utf8("somewhere") },
  narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
  narSize: 120,
  references: ["5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello"],
  signatures: [`key:${"A".repeat(86)}==`],
};

/** Encodes a pack. `shift` moves the offsets of its entries. */
function packOf(infos: readonly PathInfo[], shift: (offset: number, i: number) => number = (offset) => offset): Uint8Array {
  const header = encodeHeader(HEADER);
  const entries = new EntryWriter(OBJECTS.length);
  let end = HEADER_LENGTH;
  for (const [i, [kind, bytes]] of OBJECTS.entries()) {
    entries.add({ digest: digestOf(bytes), kind, offset: shift(end, i), length: bytes.length });
    end += bytes.length;
  }
  return concatBytes([
    header,
    ...OBJECTS.map(([, bytes]) => bytes),
    encodeTrailer(header, end, entries.bytes, infos.map(packedPathInfo)),
  ]);
}

function decoded(pack: Uint8Array): ReturnType<typeof decodeTrailer> {
  const length = trailerLength(pack.subarray(-FOOTER_LENGTH), pack.length);
  return decodeTrailer(pack.subarray(0, HEADER_LENGTH), pack.subarray(-length), pack.length);
}

function code(pack: Uint8Array): unknown {
  try {
    decoded(pack);
  } catch (error) {
    return isStoreError(error) ? error.code : error;
  }
  return "no error";
}

test("a header is read back, and has the documented bytes", () => {
  const bytes = encodeHeader(HEADER);
  expect(decodeHeader(bytes)).toEqual(HEADER);
  expect(bytes.length).toBe(64);
  expect([...bytes.subarray(0, 16)]).toEqual([...utf8("tvixpack"), 1, 0, 0, 0, 0, 0, 0, 0]);
  expect([...bytes.subarray(24, 60)]).toEqual([...utf8(HEADER.store)]);
  expect([...bytes.subarray(60)]).toEqual([0, 0, 0, 0]);
});

test.each([
  ["of another magic", 0],
  ["of a later version", 8],
  ["of another kind", 12],
])("a header %s is none", (_, at) => {
  const bytes = encodeHeader(HEADER);
  bytes[at] = 9;
  expect(decodeHeader(bytes)).toBeUndefined();
});

test("too few bytes are no header", () => {
  expect(decodeHeader(encodeHeader(HEADER).subarray(1))).toBeUndefined();
  expect(decodeHeader(new Uint8Array(0))).toBeUndefined();
});

test("a trailer is read back from the end of the pack", async () => {
  const pack = packOf([INFO, { ...INFO, narSize: 121 }]);
  const { entries, pathInfos, length } = decoded(pack);
  expect(entries.length).toBe(40 * OBJECTS.length);
  expect(length).toBe(pack.length - HEADER_LENGTH - OBJECTS.reduce((sum, [, bytes]) => sum + bytes.length, 0));
  const infos = await Promise.all(pathInfos.map((bytes) => decodePathInfo("x", bytes)));
  expect(infos).toEqual([INFO, { ...INFO, narSize: 121 }]);
  expect(pack.subarray(-12)).toEqual(utf8("tvixpack-end"));
  const { offset, length: range } = pathInfosRange(pack.subarray(-FOOTER_LENGTH), pack.length);
  expect(splitPathInfos(pack.subarray(offset, offset + range))).toEqual(pathInfos);
});

test("a pack without objects or path infos is complete", () => {
  const header = encodeHeader(HEADER);
  const pack = concatBytes([header, encodeTrailer(header, HEADER_LENGTH, new Uint8Array(0), [])]);
  expect(pack.length).toBe(128);
  expect(decoded(pack)).toMatchObject({ length: 64, pathInfos: [] });
});

describe("a damaged pack is corrupt", () => {
  test("wherever a bit of its header or trailer flips", () => {
    const pack = packOf([INFO]);
    const objects = OBJECTS.reduce((sum, [, bytes]) => sum + bytes.length, 0);
    for (let at = 0; at < pack.length; at++) {
      if (at >= HEADER_LENGTH && at < HEADER_LENGTH + objects) continue;
      const changed = pack.slice();
      changed[at] = (changed[at] as number) ^ 4;
      expect(code(changed), `byte ${at}`).toBe("corrupt");
    }
  });

  test("wherever it is cut, and if something is appended", () => {
    const pack = packOf([INFO]);
    for (let length = HEADER_LENGTH + FOOTER_LENGTH; length < pack.length; length++)
      expect(code(pack.subarray(0, length)), `${length} bytes`).toBe("corrupt");
    expect(code(concatBytes([pack, pack.subarray(-FOOTER_LENGTH)]))).toBe("corrupt");
  });

  test.each([
    ["overlap", (offset: number, i: number) => (i === 2 ? offset - 1 : offset)],
    ["have a gap", (offset: number, i: number) => (i === 1 ? offset + 1 : offset)],
    ["lie in the header", (offset: number) => offset - HEADER_LENGTH],
    ["lie in the trailer", (offset: number) => offset + 16],
    ["lie beyond the end", (offset: number) => offset + 1_000_000],
  ])("if its objects %s", (_, shift) => {
    expect(code(packOf([], shift))).toBe("corrupt");
  });

  test("if its objects don't fill it", () => {
    const header = encodeHeader(HEADER);
    const trailer = encodeTrailer(header, HEADER_LENGTH + 10, new Uint8Array(0), []);
    expect(code(concatBytes([header, new Uint8Array(10), trailer]))).toBe("corrupt");
  });

  test.each([
    ["is cut short", [200, 0, 0, 0, 1, 2]],
    ["has no length", [1, 0]],
    ["has a length of 4 GiB", [255, 255, 255, 255]],
  ])("if a path info %s", (_, bytes) => {
    const header = encodeHeader(HEADER);
    const pack = concatBytes([header, encodeTrailer(header, HEADER_LENGTH, new Uint8Array(0), [new Uint8Array(bytes)])]);
    expect(code(pack)).toBe("corrupt");
  });

  test("if it claims a longer trailer than the reader takes", () => {
    const footer = encodeTrailer(encodeHeader(HEADER), HEADER_LENGTH, new Uint8Array(0), []);
    const view = new DataView(footer.buffer);
    const size = 2 ** 32;
    view.setBigUint64(0, BigInt(size), true);
    view.setUint32(12, 2 ** 31, true);
    view.setUint32(48, 2 ** 31 + FOOTER_LENGTH, true);
    expect(() => trailerLength(footer, size)).toThrow("lengths");
  });
});
