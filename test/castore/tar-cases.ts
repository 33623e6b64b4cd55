import { utf8 } from "../../src/bytes.ts";
import {
  archive,
  checksum,
  GNU_MAGIC,
  type HeaderFields,
  header,
  longName,
  octal,
  openArchive,
  pax,
  rawPax,
  record,
  V7_MAGIC,
} from "./tar-builder.ts";

/**
 * Archives that programs don't write, or no longer write. The expected results come from GNU tar
 * 1.34, bsdtar 3.6, and Nix 2.8 and 2.34.
 */

/** The directory that holds the other entries. */
export const d = header({ name: "d/", type: "5", mode: 0o755 });
export const file = (name: string, content: string, more: Partial<HeaderFields> = {}): Uint8Array =>
  Buffer.concat([header({ name, size: content.length, ...more }), ...(content === "" ? [] : [openArchive(content)])]);
export const link = (name: string, target: string, more: Partial<HeaderFields> = {}): Uint8Array =>
  header({ name, type: "1", link: target, ...more });
export const symlink = (name: string, target: string, more: Partial<HeaderFields> = {}): Uint8Array =>
  header({ name, type: "2", link: target, ...more });
/** Makes a file header whose checksum is formatted by `write`. */
const summed = (fields: HeaderFields, write: (sum: number) => string): Uint8Array => {
  const block = header({ ...fields, fields: { ...fields.fields, 148: "        " } });
  block.set(utf8(write(checksum(block))), 148);
  return block;
};

/** Archives that are accepted. bsdtar, Nix and GNU tar agree on each, if they accept it. */
export const READ: Readonly<Record<string, readonly [tar: Uint8Array, contents: Record<string, string>]>> = {
  "a directory named again, a file named again": [
    archive(d, file("./d/a", "old"), file("d/a", "new", { mode: 0o755 }), d, file("d/sub/deep", "!"), symlink("d/l", "../no")),
    { "/a": "x new", "/sub/deep": "!", "/l": "-> ../no" },
  ],
  "one file": [archive(file("f", "hi", { mode: 0o700 })), { "": "x hi" }],
  "one symlink": [archive(symlink("l", "there")), { "": "-> there" }],

  // Ends of archives.
  "no end after a file": [openArchive(d, file("d/a", "1")), { "/a": "1" }],
  "no end after an empty file": [openArchive(d, file("d/a", "")), { "/a": "" }],
  "no end after a hard link that claims a size": [
    openArchive(d, file("d/a", "1"), link("d/b", "d/a", { size: 1 })),
    { "/a": "1", "/b": "1" },
  ],
  "no end after a label": [openArchive(d, file("d/a", "1"), header({ name: "x", type: "V" })), { "/a": "1" }],
  "no end after a global header": [openArchive(d, file("d/a", "1"), pax([["comment", "x"]], "g")), { "/a": "1" }],
  "an end of one block": [Buffer.concat([openArchive(d, file("d/a", "1")), new Uint8Array(512)]), { "/a": "1" }],
  "an end of a block and a half": [Buffer.concat([openArchive(d, file("d/a", "1")), new Uint8Array(800)]), { "/a": "1" }],
  "something after the end": [Buffer.concat([archive(d, file("d/a", "1")), utf8("x".repeat(600))]), { "/a": "1" }],
  "an archive after the end": [Buffer.concat([archive(d, file("d/a", "1")), archive(file("d/b", "2"))]), { "/a": "1" }],
  "a pax header before the end": [archive(d, file("d/a", "1"), pax([["path", "d/b"]])), { "/a": "1" }],

  // Hard links.
  "a hard link to itself": [archive(d, file("d/a", "1"), link("d/a", "d/a")), { "/a": "1" }],
  "a hard link to itself, spelled otherwise": [archive(d, file("d/a", "1"), link("d/a", "./d/a")), { "/a": "1" }],
  "a hard link to itself before the file": [archive(d, link("d/a", "d/a"), file("d/a", "1")), { "/a": "1" }],
  "a hard link before its target": [
    archive(d, link("d/b", "d/a"), file("d/a", "1", { mode: 0o755 })),
    { "/a": "x 1", "/b": "x 1" },
  ],
  "a chain of them": [archive(d, link("d/0", "d/9"), link("d/9", "d/a"), file("d/a", "1")), { "/0": "1", "/9": "1", "/a": "1" }],
  "a hard link before its target, then a file": [
    archive(d, link("d/b", "d/a"), file("d/b", "2"), file("d/a", "1")),
    { "/a": "1", "/b": "2" },
  ],
  "a hard link to a hard link": [
    archive(d, file("d/a", "1"), link("d/b", "d/a"), link("d/c", "d/b")),
    { "/a": "1", "/b": "1", "/c": "1" },
  ],
  "a hard link to a symlink": [archive(d, symlink("d/l", "no"), link("d/b", "d/l")), { "/l": "-> no", "/b": "-> no" }],
  "a hard link whose target is replaced": [
    archive(d, file("d/a", "1"), link("d/b", "d/a"), file("d/a", "2")),
    { "/a": "2", "/b": "1" },
  ],
  "a hard link over a file": [archive(d, file("d/a", "1"), file("d/b", "2"), link("d/b", "d/a")), { "/a": "1", "/b": "1" }],
  "a hard link of another mode": [archive(d, file("d/a", "1"), link("d/b", "d/a", { mode: 0o755 })), { "/a": "1", "/b": "1" }],
  "an absolute hard link": [archive(d, file("d/a", "1"), link("d/b", "/d/a")), { "/a": "1", "/b": "1" }],
  ...Object.fromEntries(
    [V7_MAGIC, GNU_MAGIC, "ustar\x0000"].map((magic) => [
      `a hard link that claims a size, ${JSON.stringify(magic)}`,
      [archive(d, file("d/a", "1"), link("d/b", "d/a", { size: 1, magic }), file("d/c", "3")), { "/a": "1", "/b": "1", "/c": "3" }],
    ]),
  ),
  "a hard link with content in a pax archive": [
    archive(d, file("d/a", "1"), pax([["path", "d/b"]]), link("x", "d/a", { size: 1 }), "1", file("d/c", "3")),
    { "/a": "1", "/b": "1", "/c": "3" },
  ],
  "a hard link with content after other pax headers": [
    archive(pax([["comment", "x"]], "g"), d, file("d/a", "1"), link("d/b", "d/a", { size: 1 }), "1", file("d/c", "3")),
    { "/a": "1", "/b": "1", "/c": "3" },
  ],

  // Entry types.
  ...Object.fromEntries(
    [..."89:BEFGHINOPQRSTUWYZabcdefhijklmnopqrstuvwyz~\0 7"].map((type) => [
      `the type ${JSON.stringify(type)}`,
      [archive(d, file("d/t", "t", { type }), file("d/z", "z")), { "/t": "t", "/z": "z" }],
    ]),
  ),
  "labels anywhere": [
    archive(
      header({ name: "/la/../bel", type: "V", magic: GNU_MAGIC }),
      d,
      header({ name: "", type: "V", magic: GNU_MAGIC }),
      file("d/a", "1"),
    ),
    { "/a": "1" },
  ],
  "a label with content": [
    archive(header({ name: "label", type: "V", size: 3, magic: GNU_MAGIC }), "abc", d, file("d/a", "1")),
    { "/a": "1" },
  ],
  "a label between a long name and its file": [
    archive(d, longName("d/a"), header({ name: "x", type: "V", magic: GNU_MAGIC }), file("x", "1")),
    { "/a": "1" },
  ],
  "a dumped directory": [
    archive(header({ name: "d/", type: "D", size: 5, magic: GNU_MAGIC }), "Ya\0\0\0", file("d/a", "1")),
    { "/a": "1" },
  ],
  "a dumped directory without a slash, after its files": [
    archive(file("d/a", "1"), header({ name: "d", type: "D", size: 5 }), "Ya\0\0\0"),
    { "/a": "1" },
  ],
  "a pax dump": [archive(pax([["GNU.dumpdir", "Ya\0Yrun\0\0"]]), d, file("d/a", "1")), { "/a": "1" }],
  "access rights by Solaris": [
    archive(header({ name: "d/a", type: "A", size: 18 }), "1000000\0user::rw-\0", d, file("d/a", "1")),
    { "/a": "1" },
  ],
  "a pax header by Sun": [archive(d, pax([["path", "d/a"]], "X"), file("x", "1")), { "/a": "1" }],
  "a directory that claims a size": [archive(header({ name: "d/", type: "5", size: 4096 }), file("d/a", "1")), { "/a": "1" }],
  "a directory by its slash alone": [archive(header({ name: "d/", type: "\0", magic: V7_MAGIC }), file("d/a", "1")), { "/a": "1" }],
  "an unknown type with a slash": [archive(d, header({ name: "d/e/", type: "Z" })), { "/e/": "" }],
  "a symlink that claims a size": [archive(d, symlink("d/l", "a", { size: 3 }), file("d/a", "1")), { "/l": "-> a", "/a": "1" }],
  "a symlink with a slash after its name": [archive(d, symlink("d/l/", "a")), { "/l": "-> a" }],

  // Entries that replace earlier entries.
  "a file over an empty directory": [archive(d, header({ name: "d/e/", type: "5" }), file("d/e", "1")), { "/e": "1" }],
  "a symlink over an empty directory": [archive(d, header({ name: "d/e/", type: "5" }), symlink("d/e", "x")), { "/e": "-> x" }],
  "a directory over a file": [archive(d, file("d/e", "1"), header({ name: "d/e/", type: "5" })), { "/e/": "" }],
  "a directory over a symlink": [
    archive(d, symlink("d/e", "x"), header({ name: "d/e/", type: "5" }), file("d/e/f", "1")),
    { "/e/f": "1" },
  ],
  "a symlink over a file": [archive(d, file("d/e", "1"), symlink("d/e", "x")), { "/e": "-> x" }],

  // Names.
  "absolute names": [
    archive(header({ name: "/d/", type: "5" }), file("///d/a", "1"), link("/d/b", "/d/a")),
    { "/a": "1", "/b": "1" },
  ],
  "dots and slashes": [
    archive(header({ name: "./", type: "5" }), header({ name: ".", type: "5" }), file(".//d//./a", "1")),
    { "/a": "1" },
  ],
  "directories without a name": [
    archive(d, header({ name: "", type: "5" }), header({ name: "/", type: "5" }), file("d/a", "1")),
    { "/a": "1" },
  ],
  "a name of 100 bytes": [archive(d, file(`d/${"n".repeat(98)}`, "1")), { [`/${"n".repeat(98)}`]: "1" }],
  "garbage after a name": [archive(d, file("d/a\0garbage", "1")), { "/a": "1" }],
  "a prefix": [archive(d, file("a", "1", { fields: { 345: "d/sub" } })), { "/sub/a": "1" }],
  "a prefix with a slash": [archive(d, file("a", "1", { fields: { 345: "d/sub/" } })), { "/sub/a": "1" }],
  "a prefix by a magic of its own": [
    archive(d, file("a", "1", { magic: "ustar 00", fields: { 345: "d/sub" } })),
    { "/sub/a": "1" },
  ],
  "no prefix in GNU's format": [archive(d, file("d/a", "1", { magic: GNU_MAGIC, fields: { 345: "12345" } })), { "/a": "1" }],
  "no prefix in the oldest format": [archive(d, file("d/a", "1", { magic: V7_MAGIC, fields: { 345: "12345" } })), { "/a": "1" }],
  "a prefix by star": [
    archive(d, file("a", "1", { fields: { 345: "d", 476: "00000000001 ", 488: "00000000001 ", 508: "tar\0" } })),
    { "/a": "1" },
  ],
  "names that are not UTF-8": [archive(d, file("d/caf\xe9", "1")), { "/caf\xe9": "1" }],
  "dots that are names": [archive(d, file("d/...", "1"), file("d/..a", "2")), { "/...": "1", "/..a": "2" }],
  "a long name without NUL": [archive(d, header({ name: "x", type: "L", size: 3 }), "d/a", file("x", "1")), { "/a": "1" }],
  "two long names": [archive(d, longName("d/1"), longName("d/2"), file("x", "1")), { "/2": "1" }],
  "an empty long name": [archive(d, header({ name: "x", type: "L" }), file("d/a", "1")), { "/a": "1" }],
  "a long link name of a file": [archive(d, longName("x", "K"), file("d/a", "1")), { "/a": "1" }],
  "a long name, then pax": [archive(d, longName("d/long"), pax([["path", "d/pax"]]), file("x", "1")), { "/pax": "1" }],
  "pax, then a long name": [archive(d, pax([["path", "d/pax"]]), longName("d/long"), file("x", "1")), { "/long": "1" }],

  // Numbers.
  "a size in base 256": [archive(d, file("d/a", "1", { fields: { 124: "\x80\0\0\0\0\0\0\0\0\0\0\x01" } })), { "/a": "1" }],
  "a mode in base 256": [archive(d, file("d/a", "1", { fields: { 100: "\x80\0\0\0\0\0\x01\xed" } })), { "/a": "x 1" }],
  "a mode with all bits": [archive(d, file("d/a", "1", { fields: { 100: "\xff".repeat(8) } })), { "/a": "x 1" }],
  ...Object.fromEntries(
    [
      "          1 ",
      "000000000001",
      "1\0\0\0\0\0\0\0\0\0\0\0",
      "1 \0 \0 \0 \0 \0 ",
      "\t\t\t\t\t\t\t\t0001",
      "1 xyz\0\0\0\0\0\0\0",
      "1\0xyz\0\0\0\0\0\0\0",
    ].map((size) => [
      `the size ${JSON.stringify(size)}`,
      [archive(d, file("d/a", "1", { fields: { 124: size } }), file("d/b", "2")), { "/a": "1", "/b": "2" }],
    ]),
  ),
  ...Object.fromEntries(
    ["\0".repeat(12), " ".repeat(12)].map((size) => [
      `the size ${JSON.stringify(size)}`,
      [archive(d, header({ name: "d/a", fields: { 124: size } })), { "/a": "" }],
    ]),
  ),
  ...Object.fromEntries(
    ["0000755\0", "00000755", "   755 \0", "755\0\0\0\0\0", "0100755\0", "0040755\0", "0004755\0"].map((mode) => [
      `the mode ${JSON.stringify(mode)}`,
      [archive(d, file("d/a", "1", { fields: { 100: mode } })), { "/a": "x 1" }],
    ]),
  ),
  "a mode that is none": [archive(d, file("d/a", "1", { fields: { 100: "rwxr-xr-" } })), { "/a": "1" }],
  "times and owners that are none": [
    archive(d, file("d/a", "1", { fields: { 108: "root\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff", 136: "hello world!" } })),
    { "/a": "1" },
  ],
  "a negative time": [archive(d, file("d/a", "1", { fields: { 136: `${"\xff".repeat(11)}\0` } })), { "/a": "1" }],
  ...Object.fromEntries(
    (
      [
        ["seven digits", (sum) => `${octal(sum, 7)}\0`],
        ["eight digits", (sum) => octal(sum, 8)],
        ["blanks before", (sum) => `${sum.toString(8).padStart(6, " ")}\0 `],
        ["a blank, then NUL", (sum) => `${octal(sum, 6)} \0`],
        ["NULs after", (sum) => sum.toString(8).padEnd(8, "\0")],
        ["signed bytes", (sum) => `${octal(sum - 256, 6)}\0 `],
      ] satisfies [string, (sum: number) => string][]
    ).map(([form, write]) => [
      `a checksum with ${form}`,
      // One byte of the name has its top bit set, so signed and unsigned checksums differ.
      [archive(d, summed({ name: "d/\xff", size: 1 }, write), "1"), { "/\xff": "1" }],
    ]),
  ),

  // pax records.
  "a NUL in a pax path": [archive(d, pax([["path", "d/a\0bc"]]), file("x", "1")), { "/a": "1" }],
  "a NUL after a pax path": [archive(d, pax([["path", "d/a\0"]]), file("x", "1")), { "/a": "1" }],
  "a NUL before a pax path": [archive(d, pax([["path", "\0d/x"]]), file("d/a", "1")), { "/a": "1" }],
  "a NUL in a pax link path": [
    archive(d, file("d/a", "1"), pax([["linkpath", "a\0bc"]]), symlink("d/l", "x")),
    { "/a": "1", "/l": "-> a" },
  ],
  "a NUL in the pax path of a hard link's target": [
    archive(d, file("d/a", "1"), pax([["linkpath", "d/a\0bc"]]), link("d/l", "x")),
    { "/a": "1", "/l": "1" },
  ],
  "empty pax values": [
    archive(
      d,
      pax([
        ["path", ""],
        ["size", ""],
        ["linkpath", ""],
      ]),
      file("d/a", "1"),
    ),
    { "/a": "1" },
  ],
  "a pax size": [archive(d, pax([["size", "1"]]), header({ name: "d/a" }), "1", file("d/b", "2")), { "/a": "1", "/b": "2" }],
  "a pax size with a fraction, and blanks": [archive(d, pax([["size", " 1.0 "]]), file("d/a", "1")), { "/a": "1" }],
  "a pax size of a symlink": [archive(d, pax([["size", "1"]]), symlink("d/l", "a"), file("d/b", "2")), { "/l": "-> a", "/b": "2" }],
  "a pax key twice": [
    archive(
      d,
      pax([
        ["path", "d/x"],
        ["path", "d/a"],
      ]),
      file("x", "1"),
    ),
    { "/a": "1" },
  ],
  "a pax key of any length": [
    archive(
      d,
      pax([
        [`LIBARCHIVE.xattr.user.${"%C3".repeat(300)}`, "eA=="],
        ["path", "d/a"],
      ]),
      file("x", "1"),
    ),
    { "/a": "1" },
  ],
  "a long pax key that begins as one that matters": [
    archive(d, pax([[`path${"h".repeat(600)}`, "d/x"]]), file("d/a", "1")),
    { "/a": "1" },
  ],
  "a pax header of NULs": [archive(d, rawPax("\0".repeat(600)), file("d/a", "1")), { "/a": "1" }],
  "a pax header with NULs after its records": [
    archive(d, rawPax(`${record("mtime", "5")}${"\0".repeat(20)}`), file("d/a", "1")),
    { "/a": "1" },
  ],
  // GNU tar takes the names before the NULs, Nix doesn't.
  "names in a pax header with NULs after its records": [
    archive(
      d,
      rawPax(`${record("path", "d/b")}${record("size", "1")}\0`),
      header({ name: "d/a" }),
      "1",
      rawPax(`${record("linkpath", "b")}\0`),
      symlink("d/l", "a"),
      rawPax(`${record("GNU.sparse.name", "d/s")}\0`),
      file("d/f", "2"),
    ),
    { "/a": "1", "/l": "-> a", "/f": "2" },
  ],
  "a pax record after NULs": [archive(d, rawPax(`\0${record("path", "d/b")}`), file("d/a", "1")), { "/a": "1" }],
  "blanks after the length of a pax record": [
    archive(d, rawPax(`8   a=b\n7 \ta=b\n${record("path", "d/a")}`), file("x", "1")),
    { "/a": "1" },
  ],
  "a tab after the length of a pax record": [archive(d, rawPax("6\ta=b\n"), file("d/a", "1")), { "/a": "1" }],
  "blanks before a pax record": [archive(d, rawPax(" \t8 a=b\n"), file("d/a", "1")), { "/a": "1" }],
  "blanks at the end of a pax header": [archive(d, rawPax(`${record("mtime", "5")} \t `), file("d/a", "1")), { "/a": "1" }],
  // GNU tar takes the name, Nix does not.
  "a name after a pax record with a tab": [archive(d, rawPax(`6\ta=b\n${record("path", "d/b")}`), file("d/a", "1")), { "/a": "1" }],
  "an empty pax header": [archive(d, rawPax(""), rawPax("", "g"), file("d/a", "1")), { "/a": "1" }],
  "two pax headers": [archive(d, pax([["path", "d/x"]]), pax([["mtime", "5"]]), file("d/a", "1")), { "/a": "1" }],
  "a global pax header between a pax header and its file": [
    archive(d, pax([["path", "d/a"]]), pax([["comment", "x"]], "g"), file("x", "1")),
    { "/a": "1" },
  ],
  "global pax headers that say what each entry says itself": [
    archive(
      pax(
        [
          ["path", "no"],
          ["linkpath", "no"],
          ["size", "99"],
        ],
        "g",
      ),
      rawPax("no records", "g"),
      d,
      file("d/a", "1"),
      symlink("d/l", "a"),
    ),
    { "/a": "1", "/l": "-> a" },
  ],
  "pax keys that change nothing": [
    archive(
      d,
      pax([
        ["mtime", "-5.25"],
        ["atime", "now"],
        ["ctime", ""],
        ["uid", "root"],
        ["gid", "99999999999999999999"],
        ["mode", "0755"],
        ["charset", "ISO-IR 8859 1 1998"],
        ["hdrcharset", "BINARY"],
        ["comment", "x".repeat(3_000_000)],
        ["FOO.bar", "1"],
        ["SCHILY.fflags", "nodump"],
        ["SCHILY.xattr.user.x", "\0\x01\n7 a=b\n"],
        ["LIBARCHIVE.symlinktype", "dir"],
        ["SUN.holesdata", " 0 1"],
        ["GNU.volume.label", "x"],
        ["toString", "1"],
      ]),
      file("d/a", "1"),
    ),
    { "/a": "1" },
  ],
  "pax names that are not UTF-8": [
    archive(d, Buffer.concat([header({ name: "x", type: "x", size: 15 }), openArchive("15 path=d/caf\xe9\n")]), file("x", "1")),
    { "/caf\xe9": "1" },
  ],
  "sparse files of each version": [
    archive(
      d,
      pax([
        ["GNU.sparse.size", "8"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.offset", "0"],
        ["GNU.sparse.numbytes", "1"],
        ["GNU.sparse.offset", "6"],
        ["GNU.sparse.numbytes", "1"],
      ]),
      file("d/0.0", "AB"),
      pax([
        ["GNU.sparse.name", "d/0.1"],
        ["GNU.sparse.size", "8"],
        ["GNU.sparse.map", "0,1,6,1"],
      ]),
      file("x", "AB"),
      pax([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "d/1.0"],
        ["GNU.sparse.realsize", "8"],
      ]),
      header({ name: "x", size: 514 }),
      "2\n0\n1\n6\n1\n",
      "AB",
      header({
        name: "d/old",
        type: "S",
        size: 2,
        magic: GNU_MAGIC,
        fields: { 386: ["0", "1", "6", "1"].map((n) => `${n.padStart(11, "0")}\0`).join(""), 483: `${octal(8, 11)}\0` },
      }),
      "AB",
      file("d/z", "z"),
    ),
    { "/0.0": "A\0\0\0\0\0B\0", "/0.1": "A\0\0\0\0\0B\0", "/1.0": "A\0\0\0\0\0B\0", "/old": "A\0\0\0\0\0B\0", "/z": "z" },
  ],
  "sparse files that are all hole": [
    archive(
      d,
      pax([
        ["GNU.sparse.major", "1"],
        ["GNU.sparse.minor", "0"],
        ["GNU.sparse.name", "d/a"],
        ["GNU.sparse.realsize", "3"],
      ]),
      header({ name: "x", size: 512 }),
      "1\n3\n0\n",
      header({
        name: "d/b",
        type: "S",
        magic: GNU_MAGIC,
        fields: { 386: "00000000003\x0000000000000\0", 483: `${octal(3, 11)}\0` },
      }),
      file("d/z", "z"),
    ),
    { "/a": "\0\0\0", "/b": "\0\0\0", "/z": "z" },
  ],
  "a sparse file without a map": [
    archive(d, header({ name: "d/a", type: "S", size: 1, magic: GNU_MAGIC, fields: { 483: `${octal(1, 11)}\0` } }), "1"),
    { "/a": "1" },
  ],
};

export const REFUSED: Readonly<Record<string, Uint8Array>> = {
  "..": archive(d, file("d/../x", "")),
  ".. in a hard link's target": archive(d, file("d/a", ""), link("d/b", "d/../d/a")),
  "two roots": archive(d, file("e", "")),
  "a character device": archive(d, header({ name: "d/c", type: "3" })),
  "a block device": archive(d, header({ name: "d/c", type: "4" })),
  "a FIFO": archive(d, header({ name: "d/c", type: "6" })),
  "a file that goes on from another volume": archive(d, file("d/c", "1", { type: "M" })),
  "a file beneath a file": archive(d, file("d/f", ""), file("d/f/g", "")),
  "a file beneath a symlink": archive(d, symlink("d/f", "/etc"), file("d/f/g", "")),
  "a file beneath a hard link": archive(d, link("d/f", "d/g"), file("d/f/g", "")),
  "a directory with files that becomes a file": archive(d, file("d/f/g", ""), file("d/f", "")),
  "a directory with files that becomes a symlink": archive(d, file("d/f/g", ""), symlink("d/f", "x")),
  "a directory with files that becomes a hard link": archive(d, file("d/a", ""), file("d/f/g", ""), link("d/f", "d/a")),
  "a hard link to nothing": archive(d, link("d/h", "d/none")),
  "a hard link to itself alone": archive(d, link("d/h", "d/h")),
  "hard links to each other": archive(d, link("d/x", "d/y"), link("d/y", "d/x")),
  "a hard link to a directory": archive(d, link("d/h", "d")),
  "a hard link to a directory that comes later": archive(d, link("d/h", "d/e"), header({ name: "d/e/", type: "5" })),
  "a hard link through a symlink": archive(d, file("d/e/f", ""), symlink("d/s", "e"), link("d/h", "d/s/f")),
  "a hard link to nothing, with content": archive(d, pax([["path", "d/h"]]), link("x", "d/none", { size: 1 }), "1"),
  "an empty symlink target": archive(d, symlink("d/h", "")),
  "a file without a name": archive(d, file("", "")),
  "a file named .": archive(d, file(".", "")),
  "a name of 256 bytes": archive(d, longName(`d/${"n".repeat(256)}`), file("x", "")),
  "nothing in it": archive(),
  "no bytes": new Uint8Array(0),
  "a label alone": archive(header({ name: "label", type: "V" })),
  "a cut in a header": archive(d).subarray(0, 300),
  "a cut in a later header": openArchive(d, file("d/a", "1"), file("d/b", "")).subarray(0, -300),
  "a cut in a content": archive(d, header({ name: "d/f", size: 2000 }), "x".repeat(2000)).subarray(0, 1500),
  "a cut before a content": openArchive(d, header({ name: "d/f", size: 2000 })),
  "a cut in the padding": openArchive(d, file("d/a", "1")).subarray(0, -1),
  "a cut in the end": archive(d).subarray(0, 800),
  "a cut after a pax header": openArchive(d, pax([["mtime", "1"]])),
  "a cut after a long name": openArchive(d, longName("d/a")),
  "a cut in a global header": openArchive(d, pax([["comment", "x".repeat(1000)]], "g")).subarray(0, 1500),
  "a cut in a sparse file": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "0,1,6,1"],
    ]),
    file("d/a", "AB"),
  ).subarray(0, 2049),
  "a wrong checksum": archive(d.map((byte, i) => (i === 0 ? byte + 1 : byte))),
  "a wrong checksum later": archive(
    d,
    file("d/a", "1").map((byte, i) => (i === 0 ? byte + 1 : byte)),
  ),
  "no checksum": archive(header({ name: "d/", type: "5", fields: { 148: "\0".repeat(8) } })),
  text: utf8("This is not a tar archive. ".repeat(100)),
  "a size that is not a number": archive(d, file("d/a", "1", { fields: { 124: "one\0\0\0\0\0\0\0\0\0" } })),
  "a negative size": archive(d, header({ name: "d/a", fields: { 124: "\xff".repeat(12) } })),
  "a size that is too large": archive(d, header({ name: "d/a", fields: { 124: `\x80\0\0\0\xff${"\0".repeat(7)}` } })),
  "a long name that is too long": archive(header({ name: "x", type: "L", size: 1 << 30 })),
  "a pax path that is too long": archive(d, rawPax(record("path", "x".repeat(1_100_000))), file("d/a", "")),
  "too many levels": archive(longName("d/".repeat(1500)), file("x", "")),
  ...Object.fromEntries(
    [
      "99 path=d/x\n",
      "7 path=d/x\n",
      "path=d/x\n",
      "0 a=b\n",
      "-5 a=b\n",
      "11 path=d/x ",
      "7 pathx\n",
      "12 path=d/x\n\n",
      "11\tpath=d/x\n",
      "6\ta=b\n99 a=b\n",
      " 6 a=b\n",
      " \t=b\n",
      "999999999999999999999999 a=b\n",
      `${"1".repeat(30)} a=b\n`,
      `600 ${"k".repeat(600)}`,
      "7 a=b\n",
    ].map((text) => [`the pax record ${JSON.stringify(text.slice(0, 20))}`, archive(d, rawPax(text), file("d/a", ""))]),
  ),
  "a pax size that is not a number": archive(d, pax([["size", "abc"]]), file("d/a", "1")),
  "a negative pax size": archive(d, pax([["size", "-1"]]), file("d/a", "1")),
  "a pax size that is too large": archive(d, pax([["size", "99999999999999999"]]), file("d/a", "1")),
  "a sparse file by star": archive(d, pax([["SCHILY.realsize", "8"]]), file("d/a", "1", { type: "S" })),
  "a sparse file of a new version": archive(
    d,
    pax([
      ["GNU.sparse.major", "2"],
      ["GNU.sparse.realsize", "1"],
    ]),
    file("d/a", "1"),
  ),
  "a sparse map of odd numbers": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "0,1,6"],
    ]),
    file("d/a", "1"),
  ),
  "a sparse map of words": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "a,b"],
    ]),
    file("d/a", "1"),
  ),
  "a sparse map out of order": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "5,1,2,1"],
    ]),
    file("d/a", "12"),
  ),
  "a sparse map beyond the end": archive(
    d,
    pax([
      ["GNU.sparse.size", "4"],
      ["GNU.sparse.map", "0,1,7,1"],
    ]),
    file("d/a", "12"),
  ),
  "a sparse map of more than there is": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "0,1,6,2"],
    ]),
    file("d/a", "12"),
  ),
  "a sparse map of less than there is": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.map", "0,1"],
    ]),
    file("d/a", "12"),
  ),
  "a sparse map that does not end": archive(
    d,
    pax([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
    ]),
    header({ name: "d/a", size: 512 }),
    "99\n0\n",
  ),
  "a sparse map in the content that is none": archive(
    d,
    pax([
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
    ]),
    header({ name: "d/a", size: 512 }),
    "x\n",
  ),
  "a sparse length without an offset": archive(
    d,
    pax([
      ["GNU.sparse.size", "8"],
      ["GNU.sparse.numbytes", "1"],
    ]),
    file("d/a", "1"),
  ),
  "more zeros than anybody has": archive(
    d,
    pax([
      ["GNU.sparse.size", "9000000000000000"],
      ["GNU.sparse.map", "0,1"],
    ]),
    file("d/a", "1"),
  ),
};
