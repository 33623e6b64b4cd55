import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { parsePathGraph } from "../../src/node/path-graph.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { normalizePathInfo } from "../../src/store/path-info-check.ts";
import { PATH_INFO_JSON_FORMATS, pathInfosToJson } from "../../src/store/path-info-json.ts";
import { nextFixtureText } from "../nix/nix-2.34.ts";
import { PATH_INFO_SCHEMAS, schemaErrors } from "../nix/nix-schemas.ts";

const CASES = join(import.meta.dirname, "../fixtures/nix-2.34");
const caseText = (name: string) => readFileSync(join(CASES, name), "utf8");

/** Output of Nix 2.34, in the formats that it has. */
const PRINTED: [name: string, format: 1 | 2, text: string][] = [
  ["of case-ca and case-selfish", 1, caseText("path-info-1.json")],
  ["of case-ca, case-selfish and what is content-addressed", 2, caseText("path-info-2.json")],
  ["signed, text and git paths", 1, nextFixtureText("path-info-1.json")],
  ["signed, text and git paths", 2, nextFixtureText("path-info-2.json")],
];

/** Our path infos of `text`. Their content does not matter for the JSON. */
function infosOf(text: string): PathInfo[] {
  return parsePathGraph(text).map((entry) => normalizePathInfo({ ...entry, node: { kind: "symlink", target: utf8("x") } }));
}

/**
 * Nix's output without the facts that we don't know: the registration time, and whether the path
 * was built here.
 */
function expected(text: string): unknown {
  return JSON.parse(text, (key, value: unknown) => (key === "registrationTime" ? null : key === "ultimate" ? false : value));
}

describe.each(PRINTED)("%s, in format %i of Nix 2.34", (_, format, text) => {
  test("follows the schema", () => {
    expect(schemaErrors(PATH_INFO_SCHEMAS[format], JSON.parse(text))).toEqual([]);
  });

  test("is read, and written again with the same content", () => {
    const infos = infosOf(text);
    expect(infos.length).toBeGreaterThan(2);
    expect(pathInfosToJson(infos, format)).toEqual(expected(text));
  });

  test.each(PATH_INFO_JSON_FORMATS)("stays the same when it is written and read in format %s", (other) => {
    const infos = infosOf(text);
    expect(infosOf(JSON.stringify(pathInfosToJson(infos, other)))).toEqual(infos);
  });

  test("has an equivalent in format 3, in which signatures are objects", () => {
    const infos = infosOf(text);
    const json = pathInfosToJson(infos, 3);
    expect(schemaErrors(PATH_INFO_SCHEMAS[3], json)).toEqual([]);
    const { info, ...frame } = pathInfosToJson(infos, 2);
    expect(json).toEqual({
      ...frame,
      version: 3,
      info: Object.fromEntries(
        Object.entries(info).map(([path, facts]) => {
          const signatures = facts.signatures.map((text) => ({ keyName: text.split(":")[0], sig: text.split(":")[1] }));
          return [path, { ...facts, signatures, version: 3 }];
        }),
      ),
    });
  });
});

test("both formats of the same paths are read as the same path infos", () => {
  expect(infosOf(nextFixtureText("path-info-1.json"))).toEqual(infosOf(nextFixtureText("path-info-2.json")));
});

test("each kind of content address and a deriver of any name follow the schemas", () => {
  const digest = "0".repeat(52);
  const [info] = infosOf(nextFixtureText("path-info-2.json")) as [PathInfo];
  const cas = [
    `text:sha256:${digest}`,
    `fixed:r:sha256:${digest}`,
    `fixed:r:blake3:${digest}`,
    `fixed:blake3:${digest}`,
    `fixed:git:sha256:${digest}`,
    `fixed:git:sha1:${"0".repeat(32)}`,
  ];
  const infos = cas.map((ca, i) => {
    const hashPart = String(i).repeat(32);
    return { ...info, storePath: `/nix/store/${hashPart}-x`, references: [], ca, deriver: `${hashPart}-y` };
  });
  for (const format of [1, 2, 3] as const) {
    const json = pathInfosToJson(infos, format);
    expect(schemaErrors(PATH_INFO_SCHEMAS[format], json)).toEqual([]);
    expect(infosOf(JSON.stringify(json))).toEqual(infos);
  }
});

test("the older formats are an array with paths, and an object by paths, without empty facts", () => {
  const plain: PathInfo = {
    storePath: `/nix/store/${"1".repeat(32)}-p`,
    node: { kind: "symlink", target: utf8("x") },
    narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    narSize: 120,
    references: [],
    signatures: [],
  };
  const signature = `key-1:${"A".repeat(86)}==`;
  const ca = "fixed:r:sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73";
  const full: PathInfo = {
    ...plain,
    storePath: `/nix/store/${"2".repeat(32)}-q`,
    references: [`${"1".repeat(32)}-p`],
    deriver: `${"3".repeat(32)}-q.drv`,
    ca,
    signatures: [signature],
  };
  const { narHash, narSize } = plain;
  const facts = { narHash, narSize, references: [] };
  const fullFacts = {
    narHash,
    narSize,
    references: [plain.storePath],
    ca,
    deriver: `/nix/store/${"3".repeat(32)}-q.drv`,
    signatures: [signature],
  };
  expect(JSON.stringify(pathInfosToJson([plain], "array"))).toBe(JSON.stringify([{ path: plain.storePath, ...facts }]));
  expect(pathInfosToJson([plain, full], "array")).toEqual([
    { path: plain.storePath, ...facts },
    { path: full.storePath, ...fullFacts },
  ]);
  expect(pathInfosToJson([plain, full], "object")).toEqual({ [plain.storePath]: facts, [full.storePath]: fullFacts });
});
