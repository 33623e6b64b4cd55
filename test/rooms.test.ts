import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

/** Each room and the other rooms that it imports from. Every room may import the ground floor. */
const FORMATS = ["nix", "hash", "compression"];
const CASTORE = [...FORMATS, "castore"];
const STORE = [...CASTORE, "store"];
const BACKENDS = [...STORE, "wire", "backends"];
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  ground: [],
  nix: [],
  hash: [],
  compression: [],
  castore: FORMATS,
  store: CASTORE,
  wire: STORE,
  backends: [...STORE, "wire"],
  conformance: STORE,
  thread: BACKENDS,
  browser: [...BACKENDS, "thread"],
  worker: [...BACKENDS, "thread"],
  node: BACKENDS,
  elements: [...BACKENDS, "thread", "browser", "entry"],
  demo: [...BACKENDS, "browser", "elements", "entry"],
  entry: [...BACKENDS, "thread", "browser", "worker"],
};

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** Entry points of pages. They lie on the ground floor, but import the rooms above it. */
const ENTRIES = ["src/index.ts", "src/in-thread.ts"];

function roomOf(file: string): string {
  const [top = "", room = "", ...rest] = relative(ROOT, file).split("/");
  if (top !== "src") return top;
  if (rest.length > 0) return room;
  return ENTRIES.includes(`${top}/${room}`) ? "entry" : "ground";
}

function filesOf(top: string): string[] {
  const found = readdirSync(join(ROOT, top), { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && /\.m?[jt]s$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
}

const FILES = [...filesOf("src"), ...filesOf("demo")].filter((file) => !/kernel\/assembly\/|\.config\.ts$/.test(file));

test("every room is in the map, and the map has no other rooms", () => {
  expect([...new Set(FILES.map(roomOf))].sort()).toEqual(Object.keys(MAY_IMPORT).sort());
});

/** Matches a relative import as Biome's formatter writes it. */
const IMPORT = /\b(?:from|import) ?\(?"(\.[^"]+)"/g;

test("imports go one way", () => {
  let count = 0;
  const wrong = FILES.flatMap((file) => {
    const from = roomOf(file);
    const imported = [...readFileSync(file, "utf8").matchAll(IMPORT)].map(([, path = ""]) => path);
    count += imported.length;
    return imported
      .map((path) => ({ path, to: roomOf(join(dirname(file), path)) }))
      .filter(({ to }) => to !== from && to !== "ground" && !MAY_IMPORT[from]?.includes(to))
      .map(({ path }) => `${relative(ROOT, file)} imports ${path}`);
  });
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(1000);
});
