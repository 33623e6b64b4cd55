import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { concatBytes, decodeUtf8 } from "../../src/bytes.ts";
import { NarParser } from "../../src/nix/nar-parser.ts";

/** Writes the content of `nar` to `root`, as `nix-store --restore` does. */
export function unpackNar(nar: Uint8Array, root: string): void {
  const names: string[] = [];
  const depth: number[] = [];
  let mode = 0o644;
  let content: Uint8Array[] = [];
  const path = () => join(root, ...names);
  const done = () => names.pop();
  const parser = new NarParser({
    directory() {
      mkdirSync(path());
      depth.push(names.length);
    },
    entry: (name) => names.push(decodeUtf8(name)),
    leave() {
      names.length = depth.pop() ?? 0;
      done();
    },
    file(_size, executable) {
      mode = executable ? 0o755 : 0o644;
      content = [];
    },
    content: (bytes) => content.push(bytes.slice()),
    endFile() {
      writeFileSync(path(), concatBytes(content), { mode });
      done();
    },
    symlink(target) {
      symlinkSync(decodeUtf8(target), path());
      done();
    },
  });
  parser.push(nar);
  parser.end();
}
