import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { PathInfoService } from "../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { CapabilityService } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_capabilities_pb.ts";
import { pathInfoFromMessage, pathInfoToTvix } from "../../src/wire/path-info-message.ts";
import { codeOf, drain, notFound, remoteOf } from "./peer.ts";

describe("path infos of a peer", () => {
  const info: PathInfo = {
    storePath: "/nix/store/00bgd045z0d4icpbc2yyz4gx48ak44la-thing",
    node: { kind: "symlink", target: utf8("t") },
    narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
    narSize: 120,
    references: [],
    signatures: [],
  };

  test("must belong to the requested path", async () => {
    const { pathInfos } = remoteOf((router) => router.service(PathInfoService, { get: () => pathInfoToTvix(info) }));
    expect(await pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toEqual(info);
    expect(await codeOf(pathInfos.get("1b9p07z77phvv2hf6gm9f28syp39f1ag"))).toBe("corrupt");
  });

  test("without narinfo are completed by further calls", async () => {
    const references = ["00bgd045z0d4icpbc2yyz4gx48ak44la-thing", "1b9p07z77phvv2hf6gm9f28syp39f1ag-other"];
    const message = pathInfoToTvix({ ...info, references });
    const other = pathInfoToTvix({ ...info, storePath: "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-other" });
    let asked = 0;
    const { pathInfos } = remoteOf((router) =>
      router.service(PathInfoService, {
        get: () => (asked++ === 0 ? { node: message.node, references: message.references } : other),
        calculateNAR: () => ({ narSize: 120n, narSha256: message.narinfo?.narSha256 ?? new Uint8Array() }),
      }),
    );
    expect(await pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toEqual({ ...info, references });
  });

  test("that break a rule are corrupt", async () => {
    const { pathInfos } = remoteOf((router) =>
      router.service(PathInfoService, {
        async *list() {
          const node = { node: { case: "symlink", value: { name: utf8("x"), target: utf8("t") } } } as const;
          yield { narinfo: pathInfoToTvix(info).narinfo, node };
        },
      }),
    );
    expect(await codeOf(drain(pathInfos.list()))).toBe("corrupt");
  });

  test("are missing if the peer says so, and need a hash part", async () => {
    const { pathInfos } = remoteOf((router) => router.service(PathInfoService, { get: notFound }));
    expect(await pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44la")).toBeUndefined();
    expect(await codeOf(pathInfos.get("00bgd045z0d4icpbc2yyz4gx48ak44l"))).toBe("invalid");
  });

  describe("that are written", () => {
    const signature = (byte: number) => `key-${byte}:${Buffer.alloc(64, byte).toString("base64")}`;
    const known = { ...info, signatures: [signature(1)] };

    function storing(mergesPathInfos: boolean | undefined, answer?: PathInfo) {
      const calls: string[] = [];
      const received: PathInfo[] = [];
      const { pathInfos } = remoteOf((router) => {
        router.service(PathInfoService, {
          get: () => {
            calls.push("get");
            return pathInfoToTvix(known);
          },
          put: async (message) => {
            calls.push("put");
            const gap = (): never => expect.unreachable();
            received.push(await pathInfoFromMessage(message, { calculateNar: gap, referenceName: gap }));
            return pathInfoToTvix(answer ?? received.at(-1) ?? info);
          },
        });
        if (mergesPathInfos !== undefined)
          router.service(CapabilityService, { get: () => ({ directorySizeRules: [], mergesPathInfos }) });
      });
      return { pathInfos, calls, received };
    }

    test("are merged with the peer's, unless the peer merges them itself", async () => {
      const added = { ...info, signatures: [signature(2)] };
      for (const merges of [undefined, false]) {
        const { pathInfos, calls, received } = storing(merges);
        await pathInfos.put(added);
        expect(calls).toEqual(["get", "put"]);
        expect([...(received[0]?.signatures ?? [])].sort()).toEqual([signature(1), signature(2)]);
      }
      const { pathInfos, calls, received } = storing(true);
      expect(await pathInfos.put(added)).toEqual(added);
      expect([calls, received]).toEqual([["put"], [added]]);
    });

    test("must not contradict the peer's, and must be in order", async () => {
      const { pathInfos, calls } = storing(undefined);
      expect(await codeOf(pathInfos.put({ ...info, narHash: `sha256-${Buffer.alloc(32).toString("base64")}` }))).toBe("conflict");
      expect(calls).toEqual(["get"]);
      expect(await codeOf(pathInfos.put({ ...info, storePath: "x" }))).toBe("invalid");
      expect(calls).toEqual(["get"]);
    });

    test("must be answered with the same path", async () => {
      const other = { ...info, storePath: "/nix/store/1b9p07z77phvv2hf6gm9f28syp39f1ag-thing" };
      expect(await codeOf(storing(true, other).pathInfos.put(info))).toBe("corrupt");
    });
  });
});
