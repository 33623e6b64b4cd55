import { describe, expect, test } from "vitest";
import { parsePathGraph } from "../../src/node/path-graph.ts";

const path = (digit: string, name = "name") => `/nix/store/${digit.repeat(32)}-${name}`;
const [a, b, c] = [path("a"), path("b"), path("c")];
const SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const HEX = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const SIG = Buffer.alloc(64, 7).toString("base64");
const entry = (references: string[] = [], more = {}) => ({ narHash: HEX, narSize: 0, references, ...more });
const parse = (json: unknown) => parsePathGraph(JSON.stringify(json));

test("every form in which Nix writes path infos is read, dependencies first", () => {
  const list = [
    { path: a, ...entry([b, a]), closureSize: 5 },
    { path: b, ...entry([c], { deriver: path("d", "x.drv"), signatures: [`k:${SIG}`], ca: "text:..." }) },
    { path: c, ...entry([path("f")]), valid: true, ca: null, deriver: "" },
  ];
  const expected = [
    { storePath: c, narHash: SRI, narSize: 0, references: [path("f")], signatures: [] },
    {
      storePath: b,
      narHash: SRI,
      narSize: 0,
      references: [c],
      deriver: path("d", "x.drv"),
      signatures: [`k:${SIG}`],
      ca: "text:...",
    },
    { storePath: a, narHash: SRI, narSize: 0, references: [b, a], signatures: [] },
  ];
  const keyed = Object.fromEntries(list.map((item) => [item.path, { ...item, path: undefined }]));
  const short = Object.fromEntries(list.map((item) => [item.path.slice(11), item]));
  expect(parse(list)).toEqual(expected);
  expect(parse(keyed)).toEqual(expected);
  expect(parse({ version: 2, storeDir: "/nix/store", info: short })).toEqual(expected);
  expect(parse({ name: "x", outputs: ["out"], system: "s", graph: list.slice(0, 2), other: list.slice(1) })).toEqual(expected);
});

describe("a hash, signature or content address that is an object", () => {
  const digest = SRI.slice("sha256-".length);
  const read = (more: object) => parse({ version: 3, storeDir: "/nix/store", info: { [a.slice(11)]: { ...entry(), ...more } } })[0];

  test("is read", () => {
    expect(read({ signatures: [{ keyName: "k", sig: SIG }, `l:${SIG}`] })?.signatures).toEqual([`k:${SIG}`, `l:${SIG}`]);
    expect(read({ ca: { method: "nar", hash: SRI } })?.ca).toBe(
      "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73",
    );
    expect(read({ ca: { method: "git", hash: "sha1-rZ77I0UrPUIdufbwWvEJqLczeRY=" } })?.ca).toBe(
      "fixed:git:sha1:2rwk7dx817qmmw7np4fl4g9b8lizp7md",
    );
    for (const [format, hash] of [
      ["base16", HEX.slice("sha256:".length)],
      ["base64", digest],
    ])
      expect(read({ narHash: { algorithm: "sha256", format, hash } })?.narHash).toBe(SRI);
  });

  test("of an unknown kind leaves the content address out", () => {
    for (const ca of [
      { method: "tar", hash: SRI },
      { method: "nar", hash: "sha3-AAAA" },
      { method: "text", hash: "sha1-rZ77I0UrPUIdufbwWvEJqLczeRY=" },
      null,
    ])
      expect(read({ ca })?.ca).toBeUndefined();
  });

  test.each([
    ["a content address that is a number", { ca: 1 }],
    ["a content address without a hash", { ca: { method: "nar" } }],
    ["a content address with a broken hash", { ca: { method: "nar", hash: "sha256-AAAA" } }],
    ["a signature without a key", { signatures: [{ sig: SIG }] }],
    ["a signature without its bytes", { signatures: [{ keyName: "k" }] }],
    ["a NAR hash of an unknown kind", { narHash: { algorithm: "sha3", format: "base64", hash: digest } }],
    ["a format of the future", { version: 4 }],
    ["another store", { storeDir: "/gnu/store" }],
  ])("is refused: %s", (_, more) => {
    expect(() => read(more)).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("is refused in a document with a future version or another store directory", () => {
    for (const frame of [
      { version: 4, storeDir: "/nix/store" },
      { version: 2, storeDir: "/gnu/store" },
    ])
      expect(() => parse({ ...frame, info: { [a.slice(11)]: entry() } })).toThrow(expect.objectContaining({ code: "invalid" }));
  });

  test("attributes named like the fields of a document are not mistaken for it", () => {
    const json = { version: "1.0", info: { a: 1 }, graph: [{ path: a, ...entry() }] };
    expect(parse(json).map(({ storePath }) => storePath)).toEqual([a]);
  });
});

describe.each([
  ["a text", (keyName: string, sig: string) => `${keyName}:${sig}`],
  ["an object", (keyName: string, sig: string) => ({ keyName, sig })],
])("a signature that is %s", (_, form) => {
  const read = (keyName: string, sig: string) =>
    parse([{ path: a, ...entry([], { signatures: [form("k", SIG), form(keyName, sig)] }) }])[0]?.signatures;

  test("may lack its padding, or have something behind it", () => {
    for (const sig of [SIG.slice(0, -2), SIG.slice(0, -1), `${SIG}=`, `${SIG} `, `${SIG}\r\n`])
      expect(read("l", sig)).toEqual([`k:${SIG}`, `l:${SIG}`]);
  });

  test("is left out if no key can have made it", () => {
    for (const sig of ["", "AAAA", "A".repeat(88), "!!!", `${SIG.slice(0, 8)} ${SIG.slice(8)}`])
      expect(read("l", sig)).toEqual([`k:${SIG}`]);
    expect(read("a b", SIG)).toEqual([`k:${SIG}`]);
  });
});

test("a signature without a colon is refused", () => {
  for (const text of ["", "x", `:${SIG}`])
    expect(() => parse([{ path: a, ...entry([], { signatures: [text] }) }])).toThrow(expect.objectContaining({ code: "invalid" }));
});

// Nix 2.34, 2.8, and 2.34 with --json-format 2 printed these for a valid and a missing path.
test.each([
  ["an object", { [b]: null, [a]: entry() }],
  [
    "an array",
    [
      { path: a, ...entry() },
      { path: b, valid: false },
    ],
  ],
  ["format 2", { info: { [b.slice(11)]: null, [a.slice(11)]: entry() }, storeDir: "/nix/store", version: 2 }],
  [
    "a reference graph",
    {
      graph: [
        { path: a, ...entry() },
        { path: b, valid: false },
      ],
    },
  ],
])("a path that the source does not have is named: %s", (_, json) => {
  expect(() => parse(json)).toThrow(expect.objectContaining({ code: "invalid", message: expect.stringContaining(b) }));
});

test("one byte order mark is skipped, as Nix's JSON reader does", () => {
  const text = JSON.stringify([{ path: a, ...entry() }]);
  expect(parsePathGraph(`\ufeff${text}`)).toEqual(parsePathGraph(text));
  for (const marked of [`\ufeff\ufeff${text}`, ` \ufeff${text}`, `${text}\ufeff`])
    expect(() => parsePathGraph(marked)).toThrow(expect.objectContaining({ code: "invalid" }));
});

test.each([
  ["no JSON", "{"],
  ["no path infos", "[]"],
  ["a number", "1"],
  ["an array of texts", '["a"]'],
  [
    "a circle",
    JSON.stringify([
      { path: a, ...entry([b]) },
      { path: b, ...entry([a]) },
    ]),
  ],
  ["a path that Nix does not have", JSON.stringify({ [a]: null })],
  ["a path that is not valid", JSON.stringify([{ path: a, ...entry(), valid: false }])],
  ["a path that is none", JSON.stringify([{ path: "/etc/passwd", ...entry() }])],
  [
    "two hashes",
    JSON.stringify([
      { path: a, ...entry() },
      { path: a, ...entry([], { narHash: SRI.replace("47", "48") }) },
    ]),
  ],
  ["a reference that is none", JSON.stringify([{ path: a, ...entry(["../../etc"]) }])],
  ["references that are no list", JSON.stringify([{ path: a, ...entry(), references: "b" }])],
  ["no hash", JSON.stringify([{ path: a, narSize: 1 }])],
  ["a size below zero", JSON.stringify([{ path: a, ...entry(), narSize: -1 }])],
])("refuses %s", (_, text) => {
  expect(() => parsePathGraph(text)).toThrow(expect.objectContaining({ code: "invalid" }));
});
