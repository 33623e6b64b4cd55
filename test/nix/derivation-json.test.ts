import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { formatDerivation } from "../../src/nix/derivation-file.ts";
import { derivationFromJson } from "../../src/nix/derivation-from-json.ts";
import { derivationToJson, formatDerivationJson } from "../../src/nix/derivation-json.ts";
import { DERIVATIONS_2_8, DERIVATIONS_2_34 } from "./derivation-folder.ts";
import { nextFixtureText } from "./nix-2.34.ts";
import { DERIVATION_SCHEMA, schemaErrors } from "./nix-schemas.ts";

const FILES = [DERIVATIONS_2_8, DERIVATIONS_2_34].flatMap((folder) => folder.files.map((file) => [file, folder] as const));
const SHOWN_4 = nextFixtureText("derivations/derivation-show.json");
const SHOWN_4_JSON = JSON.parse(SHOWN_4) as { derivations: Record<string, Record<string, unknown>>; version: 4 };
const SHOWN_1 = JSON.parse(readFileSync(new URL("./derivations/show-derivation.json", import.meta.url), "utf8")) as Record<
  string,
  unknown
>;

const invalid = expect.objectContaining({ name: "StoreError", code: "invalid" });

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

test("the fixtures of Nix 2.34 include those of 2.8, and git, BLAKE3 and structured attributes", () => {
  expect(FILES.map(([file]) => file).sort()).toEqual(Object.keys(SHOWN_4_JSON.derivations).sort());
  const outputs = JSON.stringify(Object.values(SHOWN_4_JSON.derivations).map(({ outputs }) => outputs));
  for (const part of ['"method":"git"', '"method":"text"', '"hashAlgo":"blake3"', '"impure":true', '"out":{}', "sha1-"])
    expect(outputs).toContain(part);
});

describe.each(FILES)("%s", (file, folder) => {
  const shown = SHOWN_4_JSON.derivations[file];

  test("is written as by Nix 2.34", () => {
    const json = derivationToJson(folder.parsed(file), { version: 4 });
    expect(json).toEqual(shown);
    expect(Object.keys(json)).toEqual(Object.keys(shown ?? {}));
    expect(schemaErrors(DERIVATION_SCHEMA, json)).toEqual([]);
    // The text keeps every digit of numbers.
    expect(SHOWN_4).toContain(`"${file}":${formatDerivationJson(folder.parsed(file), { version: 4 })}`);
  });

  test("stays the same when it is written and read in either version", async () => {
    const { name } = folder.parsed(file);
    for (const version of [1, 4] as const) {
      const read = await derivationFromJson(formatDerivationJson(folder.parsed(file), { version }), { name });
      expect(text(formatDerivation(read))).toBe(text(folder.bytes(file)));
    }
  });
});

test.each(DERIVATIONS_2_8.files)("%s is formatted as nix show-derivation does", (file) => {
  const json = derivationToJson(DERIVATIONS_2_8.parsed(file));
  // The order of the fields is the same too.
  expect(JSON.stringify(json, undefined, 2)).toBe(JSON.stringify(SHOWN_1[`/nix/store/${file}`], undefined, 2));
});

test("an invalid __json can't be written as version 4", () => {
  const derivation = (json: string | Uint8Array) => ({
    ...DERIVATIONS_2_8.named("base"),
    environment: new Map([["__json", json]]),
  });
  for (const json of ["", "[]", "1", "{", utf8("{}")])
    expect(() => derivationToJson(derivation(json), { version: 4 })).toThrow(invalid);
  expect(derivationToJson(derivation("{")).env).toEqual({ __json: "{" });
});
