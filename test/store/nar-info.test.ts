import { describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { fromBase64Url } from "../../src/bytes.ts";
import { decodeNode } from "../../src/castore/directory-codec.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { importNar } from "../../src/store/import.ts";
import { pathInfoFromNarInfo, renderNarInfo } from "../../src/store/nar-info.ts";
import { engine, SAMPLE, Source, sampleNar } from "./fixtures.ts";

describe("renderNarInfo", () => {
  test.each(SAMPLE.map((text) => [/StorePath: .*-(.*)/.exec(text)?.[1], text] as const))(
    "renders %s like Nix, except for the URL",
    async (_, text) => {
      const info = await importNar(createMemoryStore(), engine, new Source(sampleNar(text)), { narInfo: text });
      const rendered = renderNarInfo(info);
      const withoutFile = (narInfo: string): string => narInfo.replace(/^(URL|FileHash|FileSize): .*\n/gm, "");
      expect(withoutFile(rendered)).toBe(withoutFile(text));

      const [, encoded, size] = /^URL: nar\/tvix-castore\/([A-Za-z0-9_-]+)\?narsize=(\d+)$/m.exec(rendered) ?? [];
      const { name, node } = decodeNode(fromBase64Url(encoded!));
      expect(name.length).toBe(0);
      expect(node).toEqual(info.node);
      expect(Number(size)).toBe(info.narSize);
      expect(pathInfoFromNarInfo(parseNarInfo(rendered), node)).toEqual(info);
    },
  );
});
