import { expect, it } from "vitest";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { formatNix32 } from "../../src/nix/hash.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { fixtureNames, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });
const [FILE] = fixtureNames("narinfo");

it("sorts references and removes duplicates", () => {
  const info = parseNarInfo(fixtureText(`narinfo/${FILE}`));
  const [a, b] = ["6kf2ly9l4dfgd4pxahsinwwcpks2l3sp-a", "ca1y6c916z1ck1dxi4rcrsfs9rzp728w-b"] as const;
  const start = `1;${info.storePath};${formatNix32(info.narHash)};${info.narSize};`;
  expect(fingerprint({ ...info, references: [b, a, b] })).toBe(`${start}/nix/store/${a},/nix/store/${b}`);
  expect(fingerprint({ ...info, references: [] })).toBe(start);
  expect(() => fingerprint({ ...info, references: ["a"] })).toThrow(invalid);
});
