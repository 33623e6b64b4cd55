import { expect, test } from "vitest";
import { capabilitiesFromMessage, capabilitiesToMessage } from "../../src/wire/capabilities-message.ts";
import { DirectorySizeRule } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

const { DOCUMENTED, DOUBLED, UNSPECIFIED } = DirectorySizeRule;
/** A rule of a later version. */
const LATER = 99 as DirectorySizeRule;

function rules(...directorySizeRules: DirectorySizeRule[]): readonly string[] {
  return capabilitiesFromMessage({ directorySizeRules, mergesPathInfos: false }).sizeRules;
}

test("capabilities are read as they were written, with the preferred rule first", () => {
  for (const sizeRules of [[], ["documented"], ["doubled", "documented"]] as const) {
    for (const mergesPathInfos of [false, true]) {
      const capabilities = { sizeRules: [...sizeRules], mergesPathInfos };
      expect(capabilitiesFromMessage(capabilitiesToMessage(capabilities))).toEqual(capabilities);
    }
  }
  expect(capabilitiesToMessage({ sizeRules: ["doubled", "documented"], mergesPathInfos: true }).directorySizeRules).toEqual([
    DOUBLED,
    DOCUMENTED,
  ]);
});

test("unknown rules are ignored, and a known rule counts once", () => {
  expect(rules(LATER, DOUBLED, UNSPECIFIED, DOCUMENTED, DOUBLED)).toEqual(["doubled", "documented"]);
});

test("a server that has only unknown rules is not one that accepts no writes", () => {
  expect(rules()).toEqual([]);
  for (const unknown of [[LATER], [UNSPECIFIED]])
    expect(() => rules(...unknown)).toThrow(expect.objectContaining({ name: "StoreError", code: "invalid" }));
});
