import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { generateSecretKey, sign } from "../../src/nix/ed25519.ts";
import { fingerprint } from "../../src/nix/fingerprint.ts";
import { parsePublicKey, publicKeyOf } from "../../src/nix/key.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { formatSignature } from "../../src/nix/signature.ts";
import { pathInfoFromNarInfo } from "../../src/store/nar-info.ts";
import { checkSignatures } from "../../src/store/signatures.ts";
import { isContentAddressed } from "../../src/store/trust.ts";
import { SAMPLE } from "./fixtures.ts";

const KEY = parsePublicKey(readFileSync(new URL("../fixtures/sample/public-key", import.meta.url), "utf8").trim());
const NODE = { kind: "file", digest: EMPTY_DIGEST, size: 0n, executable: false } as const;
const INFOS = SAMPLE.map((text) => pathInfoFromNarInfo(parseNarInfo(text), NODE));

test("a signature of Nix is verified with its key, and with no other key or content", async () => {
  expect(INFOS.length).toBe(11);
  const other = { name: KEY.name, bytes: publicKeyOf(await generateSecretKey("x")).bytes };
  for (const info of INFOS) {
    const state = async (changed: object, keys = [KEY]) =>
      (await checkSignatures({ ...info, ...changed }, keys)).map(({ state }) => state);
    expect(await state({})).toEqual(["verified"]);
    expect(await state({}, [other])).toEqual(["wrong"]);
    expect(await state({}, [{ ...KEY, name: `${KEY.name}0` }])).toEqual(["unknown"]);
    expect(await state({}, [])).toEqual(["unknown"]);
    expect(await state({ narSize: info.narSize + 1 })).toEqual(["wrong"]);
    expect(await state({ references: [...info.references, "8yxk8achgn0icwpx2p9qj6ablhs546nx-other"] })).toEqual(["wrong"]);
  }
});

test("each signature has a state of its own, in the order of the signatures", async () => {
  const narInfo = parseNarInfo(SAMPLE[0] ?? "");
  const [info] = INFOS;
  if (!info) throw new Error("the sample is empty");
  const [mine, theirs] = [await generateSecretKey("mine-1"), await generateSecretKey("theirs-1")];
  const right = formatSignature(await sign(mine, fingerprint(narInfo)));
  const stolen = right.replace("mine-1", KEY.name);
  const unknown = formatSignature(await sign(theirs, fingerprint(narInfo)));
  const signatures = [stolen, right, unknown, ...info.signatures];
  expect(await checkSignatures({ ...info, signatures }, [publicKeyOf(mine), KEY])).toEqual([
    { keyName: KEY.name, state: "wrong", signature: stolen },
    { keyName: "mine-1", state: "verified", signature: right },
    { keyName: "theirs-1", state: "unknown", signature: unknown },
    { keyName: KEY.name, state: "verified", signature: info.signatures[0] },
  ]);
  await expect(checkSignatures({ ...info, signatures: ["mine-1:AAAA"] }, [])).rejects.toMatchObject({ code: "invalid" });
});

test("a path is content-addressed if it follows from its content address", async () => {
  for (const info of INFOS) {
    expect(await isContentAddressed(info)).toBe(info.ca !== undefined);
    const ca = "fixed:r:sha256:10qnnypxkhr0m8l3v20kd3rs09s0w0izvs90dw1i271yl00z21kb";
    expect(await isContentAddressed({ ...info, ca })).toBe(false);
  }
});
