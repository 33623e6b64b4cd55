import { readFileSync } from "node:fs";
import { fixture } from "./fixture.ts";

const directory = new URL("./nix-2.34/", import.meta.url);

/** Reads a file that make-nix-2.34.sh wrote. */
export function nextFixture(path: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(path, directory)));
}

export function nextFixtureText(path: string): string {
  return readFileSync(new URL(path, directory), "utf8");
}

/** Reads an archive that make-nix-2.34.sh gave to Nix and git. */
export function archive(name: string): Uint8Array {
  return name === "sorted" ? nextFixture("sorted.nar") : fixture(`${name}.nar`);
}

/** Reads the lines of a table whose columns are separated by spaces. */
export function table(path: string): string[][] {
  return nextFixtureText(path)
    .trimEnd()
    .split("\n")
    .map((line) => line.split(" "));
}
