import { describe, expect, test } from "vitest";
import { concatBytes, utf8 } from "../../src/bytes.ts";
import { renderNarInfo } from "../../src/store/nar-info.ts";
import { exportNario } from "../../src/store/nario.ts";
import { ImportServer } from "../../src/worker/import-server.ts";
import { type MemoryOperations, memoryOperations, silentPort } from "./memory-operations.ts";
import { engine, failure } from "./memory-store.ts";
import { narOf } from "./trees.ts";

function serve(): MemoryOperations & { server: ImportServer } {
  const world = memoryOperations();
  return { ...world, server: new ImportServer(world.operations) };
}

const NAR = new Blob(narOf({ file: "content" }));
const stored = ({ database }: MemoryOperations): unknown[] => database.rows("pathInfos").map(([, info]) => info);

function gzip(content: Blob): Promise<Blob> {
  return new Response(content.stream().pipeThrough(new CompressionStream("gzip"))).blob();
}

/** A tar archive with one empty file, `top/file`. */
function tar(): Blob {
  const header = new Uint8Array(512);
  header.set(utf8("top/file"));
  header.set(utf8("0000644\x000000000\x000000000\x0000000000000\x0000000000000\x00        0"), 100);
  header.set(utf8("ustar\x0000"), 257);
  const sum = header.reduce((all, byte) => all + byte, 0);
  header.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return new Blob([header, new Uint8Array(1024)]);
}

describe("a folder", () => {
  test("is imported, with the properties that its source does not tell", async () => {
    const world = serve();
    const files = [{ path: "file", file: new File(["content"], "file") }];
    const info = await world.server.importFolder({ files }, { name: "folder" }, silentPort());
    expect(info.notTold).toEqual(["executable-bits", "symlinks", "empty-directories"]);
    const { notTold: _, ...rest } = info;
    expect(stored(world)).toEqual([rest]);
    expect(world.told).toEqual(["write"]);
    // A NAR of the same tree has the same content.
    const nar = await world.server.importArchive({ blob: NAR }, { format: "nar", name: "folder" }, silentPort());
    expect(nar).toEqual(rest);
  });

  test("that is a handle tells empty directories", async () => {
    const handle = { kind: "directory", entries: async function* () {} } as unknown as FileSystemDirectoryHandle;
    const info = await serve().server.importFolder({ handle }, { name: "folder" }, silentPort());
    expect(info.notTold).toEqual(["executable-bits", "symlinks"]);
  });
});

describe("an archive", () => {
  test("is decompressed, if it is a NAR or a tar archive", async () => {
    const { server } = serve();
    const zipped = await gzip(NAR);
    const [plain, unzipped] = [
      await server.importArchive({ blob: NAR }, { format: "nar", name: "x" }, silentPort()),
      await server.importArchive({ blob: zipped }, { format: "nar", name: "x" }, silentPort()),
    ];
    expect(unzipped).toEqual(plain);
    const zippedTar = await gzip(tar());
    const tarred = await server.importArchive({ blob: zippedTar }, { format: "tar", name: "x" }, silentPort());
    expect(tarred).toEqual(await server.importArchive({ blob: tar() }, { format: "tar", name: "x" }, silentPort()));
    const file = await server.importArchive({ blob: zipped }, { format: "file", name: "y" }, silentPort());
    expect(file.node).toMatchObject({ kind: "file", size: BigInt(zipped.size) });
  });

  test("in tar loses its top level, unless it is to be kept", async () => {
    const { server, operations } = serve();
    const names = async (options: { stripRoot?: boolean }): Promise<string[]> => {
      const { storePath } = await server.importArchive({ blob: tar() }, { format: "tar", name: "x", ...options }, silentPort());
      const entries = await operations.store.resolver.list(storePath, "");
      return (entries ?? []).map(({ name }) => new TextDecoder().decode(name));
    };
    expect(await names({})).toEqual(["file"]);
    expect(await names({ stripRoot: false })).toEqual(["top"]);
  });

  test("with a NARInfo gets its path, and has to match it", async () => {
    const made = await serve().server.importArchive({ blob: NAR }, { format: "nar", name: "x" }, silentPort());
    const narInfo = renderNarInfo(made);
    const world = serve();
    expect(await world.server.importArchive({ blob: NAR }, { format: "nar", narInfo }, silentPort())).toEqual(made);
    const other = new Blob(narOf({ file: "different" }));
    const failing = serve();
    expect(await failure(failing.server.importArchive({ blob: other }, { format: "nar", narInfo }, silentPort()))).toBe("corrupt");
    expect([stored(failing), failing.told]).toEqual([[], []]);
  });

  test("that is a file is not unpacked, and needs a name", async () => {
    const { server } = serve();
    const info = await server.importArchive({ blob: NAR }, { format: "file", name: "x.nar" }, silentPort());
    expect(info.node).toMatchObject({ kind: "file", size: BigInt(NAR.size), executable: false });
    expect(await failure(server.importArchive({ blob: NAR }, { format: "file", name: "" }, silentPort()))).toBe("invalid");
  });
});

test("a nario is imported with all its paths, decompressed", async () => {
  const from = serve();
  const infos = [
    await from.server.importArchive({ blob: NAR }, { format: "nar", name: "one" }, silentPort()),
    await from.server.importArchive({ blob: NAR }, { format: "nar", name: "two" }, silentPort()),
  ];
  const parts: Uint8Array[] = [];
  for await (const bytes of exportNario(from.operations.store.services, infos, { engine })) parts.push(bytes.slice());
  const zipped = await gzip(new Blob([concatBytes(parts)]));
  const to = serve();
  const found = await to.server.importNario({ blob: zipped }, silentPort());
  expect(found.map(({ storePath }) => storePath).sort()).toEqual(infos.map(({ storePath }) => storePath).sort());
  expect(stored(to)).toHaveLength(2);
  expect(to.told).toEqual(["write"]);
});

test("a blob is pinned, and other tabs learn of it", async () => {
  const { server, database, told } = serve();
  const node = await server.importBlob({ blob: new Blob(["content"]) }, "pin", silentPort());
  expect(database.rows("pins")).toEqual([["pin", { name: "pin", node }]]);
  expect(told).toEqual(["write"]);
  expect(await failure(server.importBlob({ blob: new Blob(["content"]) }, "", silentPort()))).toBe("invalid");
  expect(told).toHaveLength(1);
});
