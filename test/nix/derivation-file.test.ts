import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import {
  compareTexts,
  DERIVATION_MAX_LENGTH,
  formatDerivation,
  formatOutputHash,
  parseDerivation,
  splitOutputHash,
} from "../../src/nix/derivation-file.ts";
import { derivationToJson } from "../../src/nix/derivation-json.ts";
import { expectAtMost } from "../setup/processor-time.ts";
import { DERIVATIONS_2_8, derivationName } from "./derivation-folder.ts";

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

test("the fixtures have each kind of output, inputs, and strings that need escapes", () => {
  const kinds = new Set(
    DERIVATIONS_2_8.files.flatMap((file) => [...DERIVATIONS_2_8.parsed(file).outputs.values()].map(({ kind }) => kind)),
  );
  expect([...kinds].sort()).toEqual(["fixed", "floating", "impure", "input-addressed"]);
  expect(DERIVATIONS_2_8.named("strings").arguments).toContain("line\nreturn\rtab\tend");
  expect(DERIVATIONS_2_8.named("top").inputDerivations.size).toBeGreaterThan(3);
});

test.each(DERIVATIONS_2_8.files)("a file of Nix is written again byte for byte: %s", (file) => {
  const written = formatDerivation(DERIVATIONS_2_8.parsed(file));
  expect(Buffer.from(written).toString("latin1")).toBe(Buffer.from(DERIVATIONS_2_8.bytes(file)).toString("latin1"));
});

const SMALL = 'Derive([("out","","","")],[],[],"s","b",[],[])';

test("bytes that are not UTF-8 are kept", () => {
  const bytes = Buffer.from('Derive([("out","","","")],[],[],"s","b",["\xff\\n\xfe","\xc3\xbc"],[("k","\xff")])', "latin1");
  const derivation = parseDerivation(bytes, "x");
  expect(derivation.arguments).toEqual([new Uint8Array([0xff, 0x0a, 0xfe]), "ü"]);
  expect(derivation.environment.get("k")).toEqual(new Uint8Array([0xff]));
  expect(Buffer.from(formatDerivation(derivation))).toEqual(bytes);
});

test("fields in the wrong order are read, and written in the right order", () => {
  const text = 'Derive([("out","","",""),("dev","","","")],[],[],"s","b",[],[("b","2"),("a","1")])';
  const written = 'Derive([("dev","","",""),("out","","","")],[],[],"s","b",[],[("a","1"),("b","2")])';
  expect(Buffer.from(formatDerivation(parseDerivation(utf8(text), "x"))).toString()).toBe(written);
});

const PATH = `/nix/store/${"0".repeat(32)}-a`;

test.each<[string, string]>([
  ["nothing", ""],
  ["another term", 'DrvWithVersion("xp-dyn-drv",[],[],[],"s","b",[],[])'],
  ["bytes after its end", `${SMALL} `],
  ["no end", SMALL.slice(0, -1)],
  ["a string without an end", 'Derive([("out'],
  ["a string that ends in its escape", 'Derive([("out\\'],
  ["no outputs", SMALL.replace('[("out","","","")]', "[]")],
  ["an output twice", SMALL.replace('("out","","","")', '("out","","",""),("out","","","")')],
  ["an output with a bad name", SMALL.replace('"out"', '"a/b"')],
  ["an output with a bad path", SMALL.replace('"out",""', '"out","/nix/store/x"')],
  ["an output with a hash of no kind", SMALL.replace('"out","",""', '"out","",""').replace('"","")]', '"","00")]')],
  ["an output with an unknown hash", SMALL.replace('"out","",""', '"out","","crc32"')],
  ["a fixed output with a short hash", SMALL.replace('"out","","",""', '"out","","sha256","00"')],
  ["a fixed output that is not out", SMALL.replace('"out","","",""', `"dev","","md5","${"0".repeat(32)}"`)],
  ["a floating output with a path", SMALL.replace('"out","","",""', `"out","${PATH}","sha256",""`)],
  ["an input that is no derivation", SMALL.replace('],[],[],"s"', `],[("${PATH}",["out"])],[],"s"`)],
  ["an input of which nothing is needed", SMALL.replace('],[],[],"s"', `],[("${PATH}.drv",[])],[],"s"`)],
  ["a relative source", SMALL.replace('],[],[],"s"', '],[],["a"],"s"')],
  ["a source twice", SMALL.replace('],[],[],"s"', `],[],["${PATH}","${PATH}"],"s"`)],
  ["no system", SMALL.replace('"s"', '""')],
  ["no builder", SMALL.replace('"b"', '""')],
  ["a variable without a name", SMALL.replace("[],[])", '[],[("","")])')],
  ["a comma too many", SMALL.replace("[],[])", "[],[,])")],
])("refused: %s", (_, text) => {
  expect(() => parseDerivation(utf8(text), "x")).toThrow(invalid);
});

test("a derivation that is too long is refused", () => {
  expect(() => parseDerivation(new Uint8Array(DERIVATION_MAX_LENGTH + 1), "x")).toThrow(invalid);
});

describe("the hash of an output", () => {
  test.each([
    ["flat", "sha256", "sha256"],
    ["nar", "sha1", "r:sha1"],
    ["text", "sha256", "text:sha256"],
    ["git", "blake3", "git:blake3"],
  ] as const)("by the method %s and %s is %s", (method, algorithm, text) => {
    expect(splitOutputHash(text)).toEqual({ method, algorithm });
    expect(formatOutputHash({ kind: "floating", method, algorithm })).toBe(text);
  });

  test.each(["", "r:", "r:r:sha256", "nar:sha256", "sha256:", "SHA256", "text"])("is refused: %j", (text) => {
    expect(() => splitOutputHash(text)).toThrow(invalid);
  });
});

test("texts are in the order of their UTF-8 bytes, which is not that of JavaScript", () => {
  const sorted = ["", "Z", "a", "ab", "b", "\u00e9", "\uffff", "\u{10000}", "\u{1f4be}"];
  for (const [i, a] of sorted.entries())
    for (const [k, b] of sorted.entries()) expect([a, b, Math.sign(compareTexts(a, b))]).toEqual([a, b, Math.sign(i - k)]);
  expect("\uffff" < "\u{10000}").toBe(false);
});

test("an environment is written in the order of UTF-8 bytes", () => {
  const env = (...names: string[]) =>
    `Derive([("out","","","")],[],[],"s","b",[],[${names.map((name) => `("${name}","")`).join(",")}])`;
  const derivation = parseDerivation(utf8(env("\u{10000}", "\uffff", "a")), "x");
  expect(new TextDecoder().decode(formatDerivation(derivation))).toBe(env("a", "\uffff", "\u{10000}"));
});

test("reading a derivation takes some ten times as long as the engine takes for its JSON", async () => {
  const files = DERIVATIONS_2_8.files.map((file) => [DERIVATIONS_2_8.bytes(file), derivationName(file)] as const);
  const texts = DERIVATIONS_2_8.files.map((file) => utf8(JSON.stringify(derivationToJson(DERIVATIONS_2_8.parsed(file)))));
  const decoder = new TextDecoder();
  const thousandTimes = <T>(items: readonly T[], work: (item: T) => void) => {
    for (let i = 0; i < 1000; i++) work(items[i % items.length] as T);
  };
  await expectAtMost(
    40,
    () => thousandTimes(texts, (text) => JSON.parse(decoder.decode(text))),
    () => thousandTimes(files, ([bytes, name]) => parseDerivation(bytes, name)),
  );
});
