import { concatBytes } from "../../../src/bytes.ts";
import { formatNarioInfo, NARIO_END, NARIO_PATH_START, type NarioInfo, NarioReader } from "../../../src/nix/nario.ts";
import { arriving, expectEqual, type Target } from "../target.ts";
import type { Samples } from "./samples.ts";

export function narios(samples: Samples): Target[] {
  return [
    {
      name: "nario",
      samples: samples.files(/\.nario$/),
      words: ["NIXE\0\0\0\0", "/nix/store/", "NARIO2\0\0", "Sig: key-1:", "CA: fixed:r:sha256:", "\x01\0\0\0\0\0\0\0"],
      async run(input, random) {
        const found = await readAll(arriving(input, random));
        const written = concatBytes([
          ...found.flatMap(({ nar, info }) => [NARIO_PATH_START, nar, formatNarioInfo(info)]),
          NARIO_END,
        ]);
        const sorted = found.map(({ nar, info }) => ({ nar, info: { ...info, references: [...info.references].sort() } }));
        expectEqual(await readAll(arriving(written, random)), sorted, "written and read again");
      },
    },
  ];
}

async function readAll(source: AsyncIterable<Uint8Array>): Promise<{ nar: Uint8Array; info: NarioInfo }[]> {
  const reader = new NarioReader(source);
  const found: { nar: Uint8Array; info: NarioInfo }[] = [];
  try {
    for (let nar = await reader.next(); nar; nar = await reader.next()) {
      const parts: Uint8Array[] = [];
      for await (const bytes of nar) parts.push(bytes);
      found.push({ nar: concatBytes(parts), info: await reader.info() });
    }
    return found;
  } finally {
    await reader.close();
  }
}
