import { fromBinary } from "@bufbuild/protobuf";
import { MemoryObjectStore } from "../../../src/backends/memory-objects.ts";
import { equalBytes, utf8, viewOf } from "../../../src/bytes.ts";
import { asDigest, digestOf } from "../../../src/castore/digest.ts";
import type { Directory } from "../../../src/castore/directory.ts";
import {
  decodeDirectory,
  decodeNode,
  directoryDigest,
  directoryNode,
  encodeDirectory,
  encodeNode,
} from "../../../src/castore/directory-codec.ts";
import type { Node } from "../../../src/castore/node.ts";
import { isStoreError, StoreError } from "../../../src/error.ts";
import { ClosureDirectoryService } from "../../../src/node/objects/closure-directories.ts";
import { joinDirectories } from "../../../src/node/objects/closure-object.ts";
import { objectKey } from "../../../src/node/objects/object-layout.ts";
import { compressZstd } from "../../../src/node/zstd.ts";
import { renderNarInfo } from "../../../src/store/nar-info.ts";
import { normalizePathInfo } from "../../../src/store/path-info-check.ts";
import { directoryFromMessage } from "../../../src/wire/directory-message.ts";
import { DirectorySchema } from "../../../src/wire/gen/tvix/castore/v1/castore_pb.ts";
import { decodeBlobEntry, decodePathInfo, encodeBlobEntry, encodePathInfo } from "../../../src/wire/stored-messages.ts";
import { decodeBlob, encodeBlob } from "../../../src/worker/blob-object.ts";
import { EntryWriter, readEntries } from "../../../src/worker/pack-entries.ts";
import { Broken, expectEqual, type Target } from "../target.ts";

const DIGEST = digestOf(utf8("content"));
const HASH_PART = "1hryix9h2wg9adnmdq32a04c7kqxxh01";
const NODES: readonly Node[] = [
  { kind: "file", digest: DIGEST, size: 7n, executable: false },
  { kind: "file", digest: DIGEST, size: 2n ** 63n, executable: true },
  { kind: "directory", digest: DIGEST, size: 300n },
  { kind: "symlink", target: utf8("../share") },
];
const DIRECTORIES: readonly Directory[] = [
  { entries: [] },
  { entries: NODES.map((node, i) => ({ name: utf8(`entry-${i}`), node })) },
  { entries: [{ name: Uint8Array.of(0xff, 0xfe), node: directoryNode({ entries: [] }, "documented") }] },
];
/** A directory with children, and these children. */
const CLOSURE: readonly Directory[] = [
  {
    entries: DIRECTORIES.slice(1).map((child, i) => ({ name: utf8(`child-${i}`), node: directoryNode(child, "documented") })),
  },
  ...DIRECTORIES.slice(1),
  { entries: [] },
];
const CHUNKS = [3, 4, 5].map((size) => ({ digest: digestOf(utf8("x".repeat(size))), size }));

export function messages(): Target[] {
  return [
    {
      name: "Directory",
      samples: DIRECTORIES.map(encodeDirectory),
      words: ["\n", "\u0012", "\u001a", "name", " ".repeat(32)],
      run(input) {
        const own = attempt(() => decodeDirectory(input));
        // Compares the codec that digests depend on with the protobuf library's, which also accepts
        // fields with another wire type.
        const library = attempt(() => directoryFromMessage(parsed(() => fromBinary(DirectorySchema, input))));
        if (!("value" in own)) throw own.error;
        if (!("value" in library))
          throw new Broken("the protobuf library refuses a message that our codec accepts", { cause: library.error });
        const written = encodeDirectory(own.value);
        expectEqual(encodeDirectory(library.value), written, "by the other codec");
        expectEqual(encodeDirectory(decodeDirectory(written)), written, "written again");
      },
    },
    {
      name: "closure of directories",
      codes: ["corrupt", "not-found"],
      samples: [CLOSURE, DIRECTORIES].map((all) => joinDirectories(all.map(encodeDirectory))),
      words: ["\0\0\0\0", "\0\0\0\u0024", "\n", "\u0012", "\u001a"],
      async run(input) {
        const objects = new MemoryObjectStore();
        const [first] = input.length < 4 ? [] : [input.subarray(4, 4 + viewOf(input).getUint32(0))];
        const root = digestOf(first ?? input);
        const key = objectKey("dirs", root);
        objects.objects.set(key, compressZstd(input));
        const read: Directory[] = [];
        for await (const one of (await new ClosureDirectoryService(objects).getClosure(root)) ?? []) read.push(one);
        const [top] = read;
        if (!top) throw new Broken("a closure without its root");
        if (read.length > 1) return;
        await new ClosureDirectoryService(objects).put(read);
        expectEqual(await new ClosureDirectoryService(objects).get(directoryDigest(top)), top, "written and read again");
      },
    },
    {
      name: "Node",
      samples: NODES.flatMap((node) => [encodeNode(utf8("name"), node), encodeNode(new Uint8Array(), node)]),
      run(input) {
        const { name, node } = decodeNode(input);
        const written = encodeNode(name, node);
        expectEqual(decodeNode(written), { name, node }, "read again");
      },
    },
    {
      name: "PathInfo",
      codes: ["corrupt"],
      samples: NODES.map((node, i) =>
        encodePathInfo({
          storePath: `/nix/store/${HASH_PART}-hello`,
          node,
          narHash: "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
          narSize: 112,
          references: [`${HASH_PART}-hello`],
          // Includes data for which tvix's message has no fields.
          deriver: i % 2 === 0 ? `${HASH_PART}-hello.drv` : `${HASH_PART}-hello`,
          ca: `fixed:${i % 2 === 0 ? "r" : "git"}:sha1:kr3sfvvcyxlqbd7q7rnlkf9y0vg8s9vj`,
          signatures: [`a:${Buffer.alloc(64, 1).toString("base64")}`],
        }),
      ),
      words: ["/", ".drv", HASH_PART, "\0", " ".repeat(20)],
      async run(input) {
        const info = await decodePathInfo(HASH_PART, input);
        expectEqual(await decodePathInfo(HASH_PART, encodePathInfo(info)), info, "read again");
        expectEqual(normalizePathInfo(info), info, "in its normal form");
        renderNarInfo(info);
      },
    },
    {
      name: "blob entry",
      codes: ["corrupt"],
      samples: [encodeBlobEntry(DIGEST, { chunks: CHUNKS }), encodeBlobEntry(DIGEST, { chunks: CHUNKS, bao: utf8("outboard") })],
      run(input) {
        const entry = decodeBlobEntry(DIGEST, input);
        expectEqual(decodeBlobEntry(DIGEST, encodeBlobEntry(DIGEST, entry)), entry, "read again");
      },
    },
    {
      name: "packed blob",
      codes: ["corrupt"],
      samples: [encodeBlob({ chunks: CHUNKS }), encodeBlob({ chunks: CHUNKS, bao: utf8("outboard") })],
      run(input) {
        const entry = decodeBlob(input, DIGEST);
        if (!entry.chunks.every(({ size }) => Number.isSafeInteger(size))) return;
        const written = encodeBlob(entry);
        if (!equalBytes(written, input)) throw new Broken("it is encoded differently");
      },
    },
    {
      name: "pack index",
      codes: ["corrupt"],
      samples: [packIndex()],
      run(input, random) {
        const size = random.pick([0, 100, 2 ** 31, Number.MAX_SAFE_INTEGER]);
        readEntries("fuzz", { entries: input, size }, (digest, _, offset, length) => {
          asDigest(digest.slice());
          if (offset + length > size) throw new Broken("an object outside of its pack");
        });
      },
    },
  ];
}

function packIndex(): Uint8Array {
  const writer = new EntryWriter(4);
  for (const [i, kind] of ([0, 1, 2, 0] as const).entries()) writer.add({ digest: DIGEST, kind, offset: i * 10, length: 10 });
  return writer.bytes;
}

function attempt<T>(read: () => T): { value: T } | { error: StoreError } {
  try {
    return { value: read() };
  } catch (error) {
    if (!isStoreError(error, "invalid")) throw error;
    return { error };
  }
}

/**
 * Converts the protobuf library's errors to refusals: a server refuses such messages before they
 * reach our code.
 */
function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new StoreError("invalid", "not a message of its type", { cause });
  }
}
