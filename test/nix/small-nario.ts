import { concatBytes, utf8 } from "../../src/bytes.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { formatNarioInfo, NARIO_END, NARIO_PATH_START } from "../../src/nix/nario.ts";

/** Makes a nario of one path, a file with a text. */
export function smallNario(info: Parameters<typeof formatNarioInfo>[0], after = formatNarioInfo(info)): Uint8Array {
  const parts: Uint8Array[] = [NARIO_PATH_START];
  const writer = new NarWriter((bytes) => parts.push(bytes.slice()));
  writer.file(5, false);
  writer.content(utf8("hello"));
  writer.endFile();
  writer.end();
  return concatBytes([...parts, after, NARIO_END]);
}
