import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { checkDerivation, type Derivation } from "../../src/nix/derivation.ts";
import { DERIVATION_MAX_LENGTH, formatDerivation, parseDerivation } from "../../src/nix/derivation-file.ts";
import { derivationToJson } from "../../src/nix/derivation-json.ts";
import {
  type DerivationHash,
  derivationPath,
  hashDerivation,
  outputPaths,
  withOutputPaths,
} from "../../src/nix/derivation-paths.ts";
import { formatStorePath, parseStorePath, storePathBaseName } from "../../src/nix/store-path.ts";
import { expectAtMost } from "../setup/processor-time.ts";

const folder = new URL("./derivations/", import.meta.url);
const FILES = readdirSync(folder)
  .filter((name) => name.endsWith(".drv"))
  .sort();
const SHOWN = JSON.parse(readFileSync(new URL("show-derivation.json", folder), "utf8")) as Record<string, unknown>;
const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

function read(file: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(file, folder)));
}

function nameOf(file: string): string {
  return parseStorePath(file).name.slice(0, -".drv".length);
}

function parsed(file: string): Derivation {
  return parseDerivation(read(file), nameOf(file));
}

function named(name: string): Derivation {
  const file = FILES.find((file) => nameOf(file) === name);
  if (!file) throw new Error(`there is no fixture ${name}`);
  return parsed(file);
}

const hashes = new Map<string, Promise<DerivationHash>>();
/** Hashes the fixture with this store path. */
function inputHash(path: string): Promise<DerivationHash> {
  const known = hashes.get(path) ?? hashDerivation(parsed(storePathBaseName(parseStorePath(path))), inputHash);
  hashes.set(path, known);
  return known;
}

test("the fixtures have each kind of output, inputs, and strings that need escapes", () => {
  const kinds = new Set(FILES.flatMap((file) => [...parsed(file).outputs.values()].map(({ kind }) => kind)));
  expect([...kinds].sort()).toEqual(["fixed", "floating", "impure", "input-addressed"]);
  expect(named("strings").arguments).toContain("line\nreturn\rtab\tend");
  expect(named("top").inputDerivations.size).toBeGreaterThan(3);
});

describe.each(FILES)("%s, as Nix wrote it", (file) => {
  test("is written again byte for byte", () => {
    expect(Buffer.from(formatDerivation(parsed(file))).toString("latin1")).toBe(Buffer.from(read(file)).toString("latin1"));
  });

  test("has the store path that is calculated from it", async () => {
    expect(storePathBaseName(await derivationPath(parsed(file)))).toBe(file);
  });

  test("has the output paths that are calculated from it", async () => {
    const derivation = parsed(file);
    const unknown = new Map([...derivation.outputs.keys()].map((name) => [name, undefined] as const));
    const paths = await outputPaths(withOutputPaths(derivation, unknown), inputHash);
    const found = [...paths].map(([name, path]) => [name, path && formatStorePath(path)]);
    expect(found).toEqual([...derivation.outputs].map(([name, output]) => [name, "path" in output ? output.path : undefined]));
    expect(withOutputPaths(derivation, paths)).toEqual(derivation);
  });

  test("is formatted as nix show-derivation does", () => {
    const json = derivationToJson(parsed(file));
    // The order of the fields is the same too.
    expect(JSON.stringify(json, undefined, 2)).toBe(JSON.stringify(SHOWN[`/nix/store/${file}`], undefined, 2));
  });
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

test("a derivation that is too long, or has an invalid name, is refused", () => {
  expect(() => parseDerivation(new Uint8Array(DERIVATION_MAX_LENGTH + 1), "x")).toThrow(invalid);
  expect(() => checkDerivation({ ...named("base"), name: "a b" })).toThrow(invalid);
  expect(() => checkDerivation({ ...named("base"), name: "x".repeat(208) })).toThrow(invalid);
});

test("reading a derivation takes some ten times as long as the engine takes for its JSON", async () => {
  const files = FILES.map((file) => [read(file), nameOf(file)] as const);
  const texts = FILES.map((file) => utf8(JSON.stringify(derivationToJson(parsed(file)))));
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
