import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { generateSecretKey, sign } from "../../src/nix/ed25519.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { parseHash } from "../../src/nix/hash.ts";
import { parsePublicKey, publicKeyOf } from "../../src/nix/key.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { formatSignature } from "../../src/nix/signature.ts";
import { pathInfoFromNarInfo } from "../../src/store/nar-info.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { checkTrust, trustedSigners } from "../../src/store/trust.ts";
import { fixtureNames, fixtureText } from "../nix/fixture.ts";

const KEY = parsePublicKey(readFileSync(new URL("../nix/fixtures/public-key", import.meta.url), "utf8").trim());
const NODE = { kind: "file", digest: EMPTY_DIGEST, size: 0n, executable: false } as const;
const infos = fixtureNames("narinfo").map((name) => pathInfoFromNarInfo(parseNarInfo(fixtureText(`narinfo/${name}`)), NODE));
const addressed = infos.find(({ ca }) => ca !== undefined) as PathInfo;
const built = infos.find(({ ca }) => ca === undefined) as PathInfo;
const denied = expect.objectContaining({ name: "StoreError", code: "denied" });

describe("a path that Nix built and signed", () => {
  test("is accepted with its key, and the key is named", async () => {
    expect(await checkTrust(built, { keys: [KEY] })).toEqual({ kind: "signature", keys: [KEY.name] });
    expect(await trustedSigners(built, [KEY])).toEqual([KEY.name]);
  });

  test("is denied without its key, with another key of the same name, and after any signed fact changes", async () => {
    const other = { name: KEY.name, bytes: publicKeyOf(await generateSecretKey("x")).bytes };
    await expect(checkTrust(built, { keys: [] })).rejects.toThrow(denied);
    await expect(checkTrust(built, { keys: [other] })).rejects.toThrow(denied);
    for (const changed of [
      { narSize: built.narSize + 1 },
      { narHash: addressed.narHash },
      { references: [] },
      { storePath: addressed.storePath },
      { signatures: [] },
    ]) {
      await expect(checkTrust({ ...built, ...changed }, { keys: [KEY] })).rejects.toThrow(denied);
    }
  });

  test("is accepted if the policy is `all`", async () => {
    expect(await checkTrust({ ...built, signatures: [] }, "all")).toEqual({ kind: "policy" });
  });

  test("is accepted with one right signature among others", async () => {
    const key = await generateSecretKey("second-1");
    const { storePath, narSize, references } = built;
    const right = await sign(key, fingerprint({ storePath, narHash: parseHash(built.narHash), narSize, references }));
    const wrong = await sign(await generateSecretKey("third-1"), "something else");
    const info = { ...built, signatures: [formatSignature(wrong), ...built.signatures, formatSignature(right)] };
    expect(await checkTrust(info, { keys: [publicKeyOf(key)] })).toEqual({ kind: "signature", keys: ["second-1"] });
    expect(await trustedSigners(info, [publicKeyOf(key), KEY])).toEqual([KEY.name, "second-1"]);
  });
});

test("a matching content address needs no signature, another one does", async () => {
  const bare = { ...addressed, signatures: [] };
  expect(await checkTrust(bare, { keys: [] })).toEqual({ kind: "content-address" });
  await expect(checkTrust({ ...bare, storePath: built.storePath }, { keys: [] })).rejects.toThrow(denied);
});
