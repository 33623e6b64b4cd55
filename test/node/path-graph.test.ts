import { expect, test } from "vitest";
import { parsePathGraph } from "../../src/node/path-graph.ts";

const path = (digit: string, name = "name") => `/nix/store/${digit.repeat(32)}-${name}`;
const [a, b, c] = [path("a"), path("b"), path("c")];
const SRI = "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
const HEX = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const entry = (references: string[] = [], more = {}) => ({ narHash: HEX, narSize: 0, references, ...more });
const parse = (json: unknown) => parsePathGraph(JSON.stringify(json));

test("reads every form in which Nix writes path infos, references first", () => {
  const list = [
    { path: a, ...entry([b, a]), closureSize: 5 },
    { path: b, ...entry([c], { deriver: path("d", "x.drv"), signatures: ["k:sig"], ca: "text:..." }) },
    { path: c, ...entry([path("f")]), valid: true, ca: null, deriver: "" },
  ];
  const expected = [
    { storePath: c, narHash: SRI, narSize: 0, references: [path("f")], signatures: [] },
    { storePath: b, narHash: SRI, narSize: 0, references: [c], deriver: path("d", "x.drv"), signatures: ["k:sig"], ca: "text:..." },
    { storePath: a, narHash: SRI, narSize: 0, references: [b, a], signatures: [] },
  ];
  const keyed = Object.fromEntries(list.map((item) => [item.path, { ...item, path: undefined }]));
  const short = Object.fromEntries(list.map((item) => [item.path.slice(11), item]));
  expect(parse(list)).toEqual(expected);
  expect(parse(keyed)).toEqual(expected);
  expect(parse({ version: 2, storeDir: "/nix/store", info: short })).toEqual(expected);
  expect(parse({ name: "x", outputs: ["out"], system: "s", graph: list.slice(0, 2), other: list.slice(1) })).toEqual(expected);
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
