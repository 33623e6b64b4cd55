import { Code, ConnectError, type ConnectRouter, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, test } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { digestOf } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { createStoreClient, type StoreClient } from "../../src/wire/client.ts";
import type { WireFamily } from "../../src/wire/family.ts";
import { PathInfoService as SnixPathInfoService } from "../../src/wire/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { BlobService } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { PathInfoService } from "../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";
import { BlobSliceService } from "../../src/wire/gen/tvix_store_web/castore/v1/rpc_blob_slices_pb.ts";
import { pathInfoToTvix } from "../../src/wire/path-info-message.ts";

const HASH_A = "00bgd045z0d4icpbc2yyz4gx48ak44la";
const HASH_B = "1b9p07z77phvv2hf6gm9f28syp39f1ag";
const node: Node = { kind: "symlink", target: utf8("t") };
const info: PathInfo = {
  storePath: `/nix/store/${HASH_A}-thing`,
  node,
  narHash: "sha256-ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
  narSize: 120,
  references: [`${HASH_A}-thing`, `${HASH_B}-other`],
  signatures: [],
};
const narSha256 = pathInfoToTvix(info).narinfo?.narSha256 ?? new Uint8Array();
const digest = digestOf(utf8("content"));
const statusOf = (code: Code) => expect.objectContaining({ name: "ConnectError", code });

function clientOf(routes: (router: ConnectRouter) => void, family: WireFamily = "tvix"): StoreClient {
  return createStoreClient(createRouterTransport(routes), family);
}

describe("the NAR of a node", () => {
  /** Answers if the node's name is `accepted`, as one version of tvix does. */
  function strict(accepted: string, names: string[], refusal = Code.InvalidArgument): StoreClient {
    return clientOf((router) =>
      router.service(PathInfoService, {
        calculateNAR: ({ node }) => {
          names.push(new TextDecoder().decode(node?.value?.name));
          if (names.at(-1) !== accepted) throw new ConnectError("name", refusal);
          return { narSize: 120n, narSha256 };
        },
      }),
    );
  }

  test("is calculated by servers that require a name and by those that refuse one", async () => {
    for (const [accepted, asked] of [
      ["root", ["root"]],
      ["", ["root", ""]],
    ] as const) {
      const names: string[] = [];
      expect(await strict(accepted, names).calculateNar(node)).toEqual({ narSize: info.narSize, narHash: info.narHash });
      expect(names).toEqual(asked);
    }
  });

  test("is not requested again after another failure", async () => {
    const names: string[] = [];
    await expect(strict("", names, Code.NotFound).calculateNar(node)).rejects.toEqual(statusOf(Code.NotFound));
    expect(names).toEqual(["root"]);
  });

  test("has no name under snix's names", async () => {
    const seen: unknown[] = [];
    const client = clientOf(
      (router) =>
        router.service(SnixPathInfoService, {
          calculateNAR: ({ entry }) => {
            seen.push(entry.value?.name);
            return { narSize: 120n, narSha256 };
          },
        }),
      "snix",
    );
    await client.calculateNar(node);
    expect(seen).toEqual([new Uint8Array(0)]);
  });
});

describe("a path info without narinfo", () => {
  const bare = { node: pathInfoToTvix(info).node, references: pathInfoToTvix(info).references };
  const client = (other: () => ReturnType<typeof pathInfoToTvix>) => {
    let asked = 0;
    return clientOf((router) =>
      router.service(PathInfoService, {
        get: () => (asked++ === 0 ? bare : other()),
        calculateNAR: () => ({ narSize: 120n, narSha256 }),
      }),
    );
  };

  test("is completed by further calls", async () => {
    const found = client(() => pathInfoToTvix({ ...info, storePath: `/nix/store/${HASH_B}-other`, references: [] }));
    expect(await found.getPathInfo(HASH_A)).toEqual(info);
  });

  test("can't be completed if a reference is missing, or if the server fails", async () => {
    const failing = (code: Code) =>
      client(() => {
        throw new ConnectError("no", code);
      }).getPathInfo(HASH_A);
    await expect(failing(Code.NotFound)).rejects.toMatchObject({ name: "StoreError", code: "invalid" });
    await expect(failing(Code.Internal)).rejects.toEqual(statusOf(Code.Internal));
  });
});

describe("a slice", () => {
  test("may reach to the end, whose offset the request can't hold", async () => {
    const asked: [bigint, bigint][] = [];
    const client = clientOf((router) =>
      router.service(BlobSliceService, {
        async *readSlice({ offset, length }) {
          asked.push([offset, length]);
          yield { data: utf8("x") };
        },
      }),
    );
    const pieces: Uint8Array[] = [];
    for (const length of [2, Number.POSITIVE_INFINITY])
      for await (const piece of client.readSlice(digest, { offset: 1, length })) pieces.push(piece);
    expect(asked).toEqual([
      [1n, 2n],
      [1n, BigInt(Number.MAX_SAFE_INTEGER)],
    ]);
    expect(pieces).toEqual([utf8("x"), utf8("x")]);
  });
});

describe("a blob", () => {
  test("is described with its outboard only on request", async () => {
    const asked: [boolean, boolean][] = [];
    const client = clientOf((router) =>
      router.service(BlobService, {
        stat: ({ sendChunks, sendBao }) => {
          asked.push([sendChunks, sendBao]);
          return {};
        },
      }),
    );
    await client.statBlob(digest, false);
    await client.statBlob(digest, true);
    expect(asked).toEqual([
      [true, false],
      [true, true],
    ]);
  });

  test("is not sent further after an abort", async () => {
    const controller = new AbortController();
    let sent = 0;
    let isEnded = false;
    const pieces = async function* () {
      try {
        for (; sent < 100; sent++) {
          if (sent === 3) controller.abort(new Error("enough"));
          yield utf8("x");
        }
      } finally {
        isEnded = true;
      }
    };
    const client = clientOf((router) =>
      router.service(BlobService, {
        async put(request) {
          for await (const _ of request);
          return { digest };
        },
      }),
    );
    await expect(client.putBlob(pieces(), controller.signal)).rejects.toEqual(statusOf(Code.Canceled));
    await expect.poll(() => isEnded).toBe(true);
    expect(sent).toBeLessThan(5);
  });
});
