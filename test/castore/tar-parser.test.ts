import { describe, expect, test } from "vitest";
import { type TarEntry, TarParser } from "../../src/castore/tar-parser.ts";
import { archive, GNU_MAGIC, header, longName, octal, openArchive, pax } from "./tar-builder.ts";

/** Archives as a whole, and their rules, are in tar-entries.test.ts. */

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

interface Event {
  entry: Omit<TarEntry, "path" | "linkPath"> & { path: string; linkPath: string };
  content: string;
  ended: boolean;
}

/** Reads an archive in pieces, and returns its entries with their contents. */
function read(tar: Uint8Array, length = 1000): Event[] {
  const events: Event[] = [];
  const parser = new TarParser({
    entry: ({ path, linkPath, ...rest }) =>
      events.push({
        entry: { ...rest, path: Buffer.from(path).toString(), linkPath: Buffer.from(linkPath).toString() },
        content: "",
        ended: false,
      }),
    content(bytes) {
      const last = events.at(-1);
      if (last) last.content += Buffer.from(bytes).toString("latin1");
    },
    end() {
      const last = events.at(-1);
      if (last) last.ended = true;
    },
  });
  for (let at = 0; at < tar.length; at += length) for (const _ of parser.push(tar.subarray(at, at + length)));
  parser.end();
  return events;
}

const sparse = (size: number, map: string): Uint8Array =>
  pax([
    ["GNU.sparse.size", String(size)],
    ["GNU.sparse.map", map],
  ]);

test("tells each entry once, with its content, and that it ended", () => {
  const tar = archive(
    header({ name: "d/", type: "5", mode: 0o755, size: 7 }),
    header({ name: "d/f", size: 600, mode: 0o644 }),
    "x".repeat(600),
    header({ name: "d/h", type: "1", link: "d/f", size: 600 }),
    header({ name: "d/l", type: "2", link: "f" }),
    header({ name: "d/e" }),
  );
  const entry = (type: string, path: string, linkPath: string, size: number, mode = 0o644) => ({
    type,
    path,
    linkPath,
    size,
    mode,
  });
  expect(read(tar)).toEqual([
    { entry: entry("directory", "d/", "", 0, 0o755), content: "", ended: true },
    { entry: entry("file", "d/f", "", 600), content: "x".repeat(600), ended: true },
    { entry: entry("hard link", "d/h", "d/f", 0), content: "", ended: true },
    { entry: entry("symlink", "d/l", "f", 0), content: "", ended: true },
    { entry: entry("file", "d/e", "", 0), content: "", ended: true },
  ]);
});

test("contents are views of the pushed bytes", () => {
  const tar = archive(header({ name: "f", size: 600 }), "x".repeat(600));
  const buffers = new Set<ArrayBufferLike>();
  const parser = new TarParser({ entry() {}, content: ({ buffer }) => buffers.add(buffer), end() {} });
  const pushed = new Uint8Array(tar);
  for (const _ of parser.push(pushed));
  expect([...buffers]).toEqual([pushed.buffer]);
});

describe("the end", () => {
  const file = openArchive(header({ name: "f", size: 1 }), "1");

  test.each<[string, Uint8Array]>([
    ["of no bytes", new Uint8Array(0)],
    ["in a header", file.subarray(0, 511)],
    ["in a content", file.subarray(0, 512)],
    ["in the padding", file.subarray(0, 1023)],
    ["one byte after an entry", Buffer.concat([file, new Uint8Array(1)])],
    ["after a long name", Buffer.concat([file, longName("x")])],
    ["after a long link name", Buffer.concat([file, longName("x", "K")])],
    ["after a pax header", Buffer.concat([file, pax([["mtime", "1"]])])],
    ["in a label", Buffer.concat([file, header({ name: "x", type: "V", size: 1 })])],
  ])("%s is refused", (_, tar) => {
    for (const length of [100, 5000]) expect(() => read(tar, length)).toThrow(invalid);
  });

  test.each<[string, Uint8Array]>([
    ["after a content", file],
    ["after a label", Buffer.concat([file, header({ name: "x", type: "V", size: 1 }), new Uint8Array(512)])],
    ["after one zero block", Buffer.concat([file, new Uint8Array(512)])],
  ])("%s is accepted", (_, tar) => {
    for (const length of [100, 5000]) expect(read(tar, length)).toHaveLength(1);
  });

  test("anything after it is ignored", () => {
    expect(read(Buffer.concat([archive(header({ name: "f" })), Buffer.alloc(5000, "x")]))).toHaveLength(1);
  });
});

describe("limits", () => {
  test("a long name has at most a MiB", () => {
    const most = 1024 * 1024;
    const named = (length: number): Uint8Array => archive(longName("n".repeat(length - 1)), header({ name: "f" }));
    expect(read(named(most), 100_000)[0]?.entry.path).toHaveLength(most - 1);
    expect(() => read(named(most + 1), 100_000)).toThrow(invalid);
  });

  test("the holes of all files together have at most 64 GiB", () => {
    const gib = 1024 ** 3;
    const pushed = (...sizes: number[]): Generator<void> => {
      const files = sizes.flatMap((size) => [sparse(size, ""), header({ name: "f" })]);
      return new TarParser({ entry() {}, content() {}, end() {} }).push(archive(...files));
    };
    // The zeros of a hole are not read to the end: the first piece shows that it is accepted.
    expect(pushed(64 * gib).next().done).toBe(false);
    expect(() => pushed(64 * gib + 1).next()).toThrow(invalid);
    expect(() => {
      for (const _ of pushed(gib, 63 * gib + 1));
    }).toThrow(invalid);
  });
});

describe("a hole", () => {
  test("comes as zeros, in pieces of at most 256 KiB, with a pause after each", () => {
    const lengths: number[] = [];
    const parser = new TarParser({ entry() {}, content: ({ length }) => lengths.push(length), end: () => lengths.push(-1) });
    const pauses = [...parser.push(archive(sparse(600_000, "550000,1"), header({ name: "f", size: 1 }), "x"))].length;
    expect(lengths).toEqual([262_144, 262_144, 25_712, 1, 49_999, -1]);
    expect(pauses).toBe(4);
  });

  test("of no bytes is no content", () => {
    const [found] = read(archive(sparse(2, "0,1,1,1"), header({ name: "f", size: 2 }), "ab"));
    expect(found).toMatchObject({ entry: { size: 2 }, content: "ab", ended: true });
  });
});

describe("GNU tar's old sparse format", () => {
  const number = (value: number): string => `${octal(value, 11)}\0`;
  const segment = (offset: number, length: number): string => number(offset) + number(length);
  /** A header with four segments, and as many more blocks as the other segments need. */
  const old = (segments: string[], size: number, stored: number, extra: Record<number, string> = {}): Uint8Array[] => {
    const more: Uint8Array[] = [];
    for (let at = 4; at < segments.length; at += 21) {
      const block = Buffer.alloc(512);
      block.write(segments.slice(at, at + 21).join(""), "latin1");
      block[504] = at + 21 < segments.length ? 1 : 0;
      more.push(block);
    }
    const fields = { 386: segments.slice(0, 4).join(""), 482: more.length > 0 ? "1" : "\0", 483: number(size), ...extra };
    return [header({ name: "f", type: "S", size: stored, magic: GNU_MAGIC, fields }), ...more];
  };

  test.each([4, 5, 25, 26, 47])("has %d segments in as many blocks as they need", (count) => {
    const segments = Array.from({ length: count }, (_, i) => segment(2 * i, 1));
    const [found] = read(archive(...old(segments, 2 * count, count), "x".repeat(count), header({ name: "g" })), 300);
    expect(found).toMatchObject({ content: "x\0".repeat(count), entry: { size: 2 * count } });
  });

  test("without segments has all its bytes at its beginning, and may claim a longer size", () => {
    expect(read(archive(...old([], 5, 2), "ab"))[0]).toMatchObject({ content: "ab\0\0\0", entry: { size: 5 } });
    expect(read(archive(...old([], 1, 2), "ab"))[0]).toMatchObject({ content: "ab", entry: { size: 2 } });
  });

  test("is a plain file under another magic", () => {
    const plain = header({ name: "f", type: "S", size: 2, magic: "\0".repeat(8), fields: { 386: segment(1, 1), 483: number(9) } });
    expect(read(archive(plain, "ab"))[0]).toMatchObject({ content: "ab", entry: { size: 2 } });
  });
});

describe("GNU tar's sparse format 1.0", () => {
  const version = (major: string, minor: string): Uint8Array =>
    pax([
      ["GNU.sparse.major", major],
      ["GNU.sparse.minor", minor],
      ["GNU.sparse.realsize", "4"],
    ]);
  const map = "1\n1\n2\n";

  test("has its map before the content", () => {
    const tar = archive(version("1", "0"), header({ name: "f", size: 514 }), map, "ab", header({ name: "g", size: 1 }), "g");
    expect(read(tar).map(({ content }) => content)).toEqual(["\0ab\0", "g"]);
  });

  test("may have a map that fills the content, and no longer one", () => {
    const long = `1\n4\n${"0".repeat(20)}\n`;
    expect(read(archive(version("1", "0"), header({ name: "f", size: 512 }), long))[0]?.content).toBe("\0\0\0\0");
    expect(() => read(archive(version("1", "0"), header({ name: "f", size: 511 }), long))).toThrow(invalid);
  });

  test.each([
    ["1", "1"],
    ["2", "0"],
  ])("is refused as version %s.%s", (major, minor) => {
    expect(() => read(archive(version(major, minor), header({ name: "f", size: 514 }), map, "ab"))).toThrow(invalid);
  });
});

describe("names from extensions", () => {
  const names = (tar: Uint8Array): string[] => read(tar).map(({ entry: { path, linkPath } }) => `${path} ${linkPath}`);

  test("hold for the next entry only", () => {
    const two = [header({ name: "a", type: "2", link: "x" }), header({ name: "b", type: "2", link: "y" })];
    expect(names(archive(longName("long"), longName("target", "K"), ...two))).toEqual(["long target", "b y"]);
    expect(
      names(
        archive(
          pax([
            ["path", "p"],
            ["linkpath", "q"],
          ]),
          ...two,
        ),
      ),
    ).toEqual(["p q", "b y"]);
  });

  test("the later of two pax headers replaces the names of the earlier one", () => {
    const first = pax([
      ["path", "p"],
      ["linkpath", "q"],
    ]);
    expect(names(archive(first, pax([["mtime", "1"]]), header({ name: "a", type: "2", link: "x" })))).toEqual(["a x"]);
  });

  test("a pax header without a name leaves a long name by GNU tar", () => {
    const link = header({ name: "a", type: "2", link: "x" });
    expect(names(archive(longName("long"), longName("target", "K"), pax([["mtime", "1"]]), link))).toEqual(["long target"]);
  });

  test("the name of a sparse file comes before all others", () => {
    const named = pax([
      ["path", "p"],
      ["GNU.sparse.name", "s"],
    ]);
    expect(names(archive(named, longName("long"), header({ name: "a" })))).toEqual(["s "]);
  });
});

test.each<[string, string]>([
  ["a character device", "3"],
  ["a block device", "4"],
  ["a FIFO", "6"],
  ["a file of several volumes", "M"],
])("refuses %s", (_, type) => {
  expect(() => read(archive(header({ name: "f", type })))).toThrow(invalid);
});

test("only a directory may have an empty name", () => {
  expect(read(archive(header({ name: "", type: "5" })))).toHaveLength(1);
  for (const type of ["0", "1", "2"]) expect(() => read(archive(header({ name: "", type, link: "x" })))).toThrow(invalid);
});

test("star's sparse size is refused unless it is the size of the content", () => {
  const star = (size: string): Uint8Array => archive(pax([["SCHILY.realsize", size]]), header({ name: "f", size: 1 }), "1");
  expect(read(star("1"))[0]?.content).toBe("1");
  for (const size of ["0", "2"]) expect(() => read(star(size))).toThrow(invalid);
});

test("an error of the handler comes out as it is", () => {
  const error = new Error("the disk is full");
  const parser = new TarParser({
    entry() {
      throw error;
    },
    content() {},
    end() {},
  });
  expect(() => [...parser.push(archive(header({ name: "f" })))]).toThrow(error);
});
