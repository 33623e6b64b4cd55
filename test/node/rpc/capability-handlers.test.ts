import { Code, createClient, createRouterTransport } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { createMemoryStore } from "../../../src/backends/memory.ts";
import type { DirectorySizeRule } from "../../../src/castore/directory.ts";
import { StoreError } from "../../../src/error.ts";
import { capabilityHandlers } from "../../../src/node/rpc/capability-handlers.ts";
import { capabilitiesFromMessage } from "../../../src/wire/capabilities-message.ts";
import { CapabilityService } from "../../../src/wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";

/** Makes a client of a daemon whose directory service has these rules. */
function clientOf(sizeRules: () => Promise<readonly DirectorySizeRule[]>) {
  const { directories } = createMemoryStore();
  const service = Object.assign(directories, { sizeRules });
  return createClient(
    CapabilityService,
    createRouterTransport((router) => {
      router.service(CapabilityService, capabilityHandlers(service));
    }),
  );
}

test.each<[DirectorySizeRule[]]>([[["documented", "doubled"]], [["doubled"]]])("reports the size rules %j", async (rules) => {
  const message = await clientOf(async () => rules).get({});
  expect(capabilitiesFromMessage(message)).toEqual({ sizeRules: rules, mergesPathInfos: true });
});

test("reports nothing for a read-only store", async () => {
  const message = await clientOf(() => Promise.reject(new StoreError("denied", "read-only"))).get({});
  expect(capabilitiesFromMessage(message)).toEqual({ sizeRules: [], mergesPathInfos: false });
});

test("passes other errors on", async () => {
  const client = clientOf(() => Promise.reject(new StoreError("unavailable", "the other daemon is gone")));
  await expect(client.get({})).rejects.toMatchObject({ code: Code.Unavailable });
});
