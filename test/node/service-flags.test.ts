import { parseArgs } from "node:util";
import { expect, test } from "vitest";
import { BACKENDS } from "../../src/node/backends/registry.ts";
import { ADDRESSES_HELP, SERVICE_FLAGS, serviceAddresses } from "../../src/node/service-flags.ts";
import { serviceFlags } from "../setup/service-flags.ts";

test("addresses come from flags, or else from the environment, or else from the default", () => {
  const env = { BLOB_SERVICE_ADDR: "memory:1", DIRECTORY_SERVICE_ADDR: "memory:2", PATH_INFO_SERVICE_ADDR: "memory:3" };
  const otherwise = "memory:4";
  const defaults = { blobs: otherwise, directories: otherwise, pathInfos: otherwise };
  expect(serviceAddresses({}, {}, otherwise)).toEqual(defaults);
  expect(serviceAddresses({}, env, otherwise)).toEqual({ blobs: "memory:1", directories: "memory:2", pathInfos: "memory:3" });
  expect(serviceAddresses({}, { ...env, DIRECTORY_SERVICE_ADDR: "" }, otherwise)).toMatchObject({ directories: otherwise });
  const { values } = parseArgs({ args: serviceFlags("a:", "b:", "c:"), options: SERVICE_FLAGS });
  expect(serviceAddresses(values, env, otherwise)).toEqual({ blobs: "a:", directories: "b:", pathInfos: "c:" });
  // An empty flag is wrong usage, which is reported later.
  expect(serviceAddresses({ "blob-service-addr": "" }, env, otherwise)).toMatchObject({ blobs: "" });
});

test("the help has each backend, in lines of at most 100 columns", () => {
  for (const { help } of BACKENDS) expect(ADDRESSES_HELP).toContain(`\n  ${help.form}`);
  for (const line of ADDRESSES_HELP.split("\n")) {
    expect(line.length).toBeLessThanOrEqual(100);
    expect(line).toBe(line.trimEnd());
  }
  // Without the blanks, nothing of a text is lost.
  const words = ADDRESSES_HELP.replace(/\s+/g, " ");
  for (const { help } of BACKENDS) expect(words).toContain(`${help.form} ${help.text}`);
});
