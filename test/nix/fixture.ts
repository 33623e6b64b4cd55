import { readdirSync, readFileSync } from "node:fs";

const directory = new URL("./fixtures/", import.meta.url);

/** Reads a file that make-fixtures.sh wrote. */
export function fixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, directory)));
}

export function fixtureText(path: string): string {
  return readFileSync(new URL(path, directory), "utf8");
}

export function fixtureNames(path: string): string[] {
  return readdirSync(new URL(path, directory)).sort();
}
