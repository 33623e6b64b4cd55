/** Trees for tests of the storage engine. They are the same in every runtime. */

import { utf8 } from "../../src/bytes.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { pseudoRandom } from "../conformance/content.ts";

/** Entries of a directory by name. A string is the text of a file. */
export interface Tree {
  readonly [name: string]: Tree | string | Uint8Array;
}

/** Content of several chunks. */
export function long(seed: number, length = 600_000): Uint8Array {
  return pseudoRandom(length, seed);
}

export function narOf(root: Tree | string | Uint8Array): Uint8Array<ArrayBuffer>[] {
  const parts: Uint8Array<ArrayBuffer>[] = [];
  const writer = new NarWriter((bytes) => parts.push(new Uint8Array(bytes)));
  const write = (node: Tree | string | Uint8Array): void => {
    if (typeof node === "string" || node instanceof Uint8Array) {
      const bytes = typeof node === "string" ? utf8(node) : node;
      writer.file(bytes.length, false);
      writer.content(bytes);
      writer.endFile();
      return;
    }
    writer.directory();
    for (const name of Object.keys(node).sort()) {
      writer.entry(utf8(name));
      write(node[name] as Tree | string | Uint8Array);
    }
    writer.leave();
  };
  write(root);
  writer.end();
  return parts;
}

/** Content of the databases of earlier versions: see make-v1-fixtures.mjs. */
export const V1_LONG: Uint8Array = long(77, 1_000_000);

/** Trees of these databases. The last one was deleted, so its content is garbage. */
export const V1_TREES: readonly { readonly name: string; readonly root: Tree | string | Uint8Array }[] = [
  { name: "tree", root: { empty: "", large: V1_LONG, none: {}, sub: { sub: { text: "below" }, text: "shared" }, text: "text" } },
  { name: "other", root: { large: V1_LONG.subarray(0, 700_000), text: "shared" } },
  { name: "file", root: V1_LONG },
  { name: "text", root: "a file by itself" },
  { name: "none", root: {} },
  { name: "deleted", root: { sub: { text: "deleted" }, text: "shared" } },
];
