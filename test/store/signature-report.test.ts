import { expect, test } from "vitest";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { pathInfoFromNarInfo } from "../../src/store/nar-info.ts";
import { reportSignatures } from "../../src/store/signature-report.ts";
import { SAMPLE } from "./fixtures.ts";

test("a report has the state of each signature, and whether the path needs one", async () => {
  const node = { kind: "file", digest: EMPTY_DIGEST, size: 0n, executable: false } as const;
  const infos = SAMPLE.map((text) => pathInfoFromNarInfo(parseNarInfo(text), node));
  expect(new Set(infos.map(({ ca }) => ca !== undefined)).size).toBe(2);
  for (const info of infos) {
    const report = await reportSignatures(info, []);
    expect(report.contentAddressed).toBe(info.ca !== undefined);
    expect(report.signatures).toEqual(
      info.signatures.map((signature) => ({ keyName: signature.split(":")[0], state: "unknown", signature })),
    );
  }
  const [first] = infos;
  if (!first) throw new Error("the sample is empty");
  await expect(reportSignatures({ ...first, signatures: ["key-1:AAAA"] }, [])).rejects.toMatchObject({ code: "invalid" });
});
