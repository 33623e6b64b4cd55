import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { blake3 } from "@noble/hashes/blake3.js";
import { type RunningServer, startServer } from "../../src/node/server.ts";
import { type Directory, DirectorySchema } from "../../src/wire/gen/snix/castore/v1/castore_pb.ts";
import { BlobService as SnixBlobs } from "../../src/wire/gen/snix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService as SnixDirectories } from "../../src/wire/gen/snix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService as SnixPathInfos } from "../../src/wire/gen/snix/store/v1/rpc_pathinfo_pb.ts";
import { BlobService as TvixBlobs } from "../../src/wire/gen/tvix/castore/v1/rpc_blobstore_pb.ts";
import { DirectoryService as TvixDirectories } from "../../src/wire/gen/tvix/castore/v1/rpc_directory_pb.ts";
import { PathInfoService as TvixPathInfos } from "../../src/wire/gen/tvix/store/v1/rpc_pathinfo_pb.ts";

/**
 * Options of a stand-in for stock daemons.
 *
 * It answers as snix-store was seen to answer (or, under tvix's names, as tvix did), and refuses
 * everything that they refuse. It only shares the generated messages and the server with `src`.
 * Checks that used our own code would agree with our mistakes.
 */
export interface StrictPeerOptions {
  readonly names: "tvix" | "snix";
  /** How many times an entry counts in the size of its directory. */
  readonly entryWeight: 1 | 2;
  /** Whether `CalculateNAR` requires a name in the node; otherwise it refuses a name. */
  readonly namedRoots: boolean;
}

/** snix as of 2025-12. */
export const SNIX: StrictPeerOptions = { names: "snix", entryWeight: 2, namedRoots: false };
/** tvix since 2024-08: tvix's names with the rules of snix. */
export const LATE_TVIX: StrictPeerOptions = { names: "tvix", entryWeight: 2, namedRoots: false };
/** tvix as of 2024-04. */
export const EARLY_TVIX: StrictPeerOptions = { names: "tvix", entryWeight: 1, namedRoots: true };

type Oneof = { case: "directory" | "file" | "symlink" | undefined; value?: NodeMessage | undefined };
interface NodeMessage {
  name: Uint8Array;
  digest?: Uint8Array;
  size?: bigint;
  executable?: boolean;
  target?: Uint8Array;
}

export class StrictPeer {
  readonly blobs = new Map<string, Uint8Array>();
  /** Serialized messages by digest. */
  readonly directories = new Map<string, Uint8Array>();
  readonly pathInfos = new Map<string, { root: Oneof; references: Uint8Array[]; narinfo: object }>();
  /** Number of calls that wrote something, by service. */
  readonly writes = { blobs: 0, directories: 0, pathInfos: 0 };
  readonly #options: StrictPeerOptions;

  constructor(options: StrictPeerOptions) {
    this.#options = options;
  }

  /** Calculates the size that a parent must state for `directory`. */
  static size(directory: Pick<Directory, "directories" | "files" | "symlinks">, entryWeight: 1 | 2): bigint {
    const entries = directory.directories.length + directory.files.length + directory.symlinks.length;
    let size = BigInt(entries * entryWeight);
    for (const child of directory.directories) size += child.size;
    return size;
  }

  routes(router: ConnectRouter): void {
    const blobs = {
      stat: ({ digest }: { digest: Uint8Array }) => {
        if (!this.blobs.has(hex(digest))) throw new ConnectError("blob not found", Code.NotFound);
        return {};
      },
      read: (request: { digest: Uint8Array }) => this.#readBlob(request.digest),
      put: (request: AsyncIterable<{ data: Uint8Array }>) => this.#putBlob(request),
    };
    const directories = {
      get: ({ byWhat, recursive }: { byWhat: { case?: string | undefined; value?: Uint8Array }; recursive: boolean }) => {
        if (!byWhat.value) throw new ConnectError("invalid by_what", Code.InvalidArgument);
        return recursive ? this.#closure(byWhat.value) : this.#directory(byWhat.value);
      },
      put: (request: AsyncIterable<Pick<Directory, "directories" | "files" | "symlinks">>) => this.#putDirectories(request),
    };
    const hashPart = ({ byWhat }: { byWhat: { value?: Uint8Array } }): Uint8Array => {
      if (!byWhat.value) throw new ConnectError("by_what needs to be specified", Code.Unimplemented);
      if (byWhat.value.length !== 20) throw new ConnectError("invalid output digest length", Code.InvalidArgument);
      return byWhat.value;
    };
    if (this.#options.names === "snix") {
      const message = (key: string) => {
        const { root, ...rest } = this.#pathInfo(key);
        return { ...rest, entry: { entry: root } } as never;
      };
      router.service(SnixBlobs, blobs).service(SnixDirectories, directories as never);
      router.service(SnixPathInfos, {
        get: (request) => message(hex(hashPart(request as never))),
        put: (info) => message(this.#putPathInfo({ ...info, root: info.entry?.entry as Oneof })),
        calculateNAR: (entry) => this.#calculate(entry.entry as Oneof),
        list: async function* (this: unknown) {}.bind(undefined),
      });
      return;
    }
    const message = (key: string) => {
      const { root, ...rest } = this.#pathInfo(key);
      return { ...rest, node: { node: root } } as never;
    };
    router.service(TvixBlobs, blobs).service(TvixDirectories, directories as never);
    router.service(TvixPathInfos, {
      get: (request) => message(hex(hashPart(request as never))),
      put: (info) => message(this.#putPathInfo({ ...info, root: info.node?.node as Oneof })),
      calculateNAR: (node) => this.#calculate(node.node as Oneof),
      list: async function* (this: unknown) {}.bind(undefined),
    });
  }

  /** Starts a server for the peer on a free port. */
  listen(): Promise<RunningServer> {
    return startServer({ host: "127.0.0.1", port: 0 }, { routes: (router) => this.routes(router) });
  }

  async *#readBlob(digest: Uint8Array): AsyncGenerator<{ data: Uint8Array }> {
    const bytes = this.blobs.get(hex(digest));
    if (!bytes) throw new ConnectError("blob not found", Code.NotFound);
    for (let at = 0; at < bytes.length; at += 4096) yield { data: bytes.subarray(at, at + 4096) };
  }

  async #putBlob(request: AsyncIterable<{ data: Uint8Array }>): Promise<{ digest: Uint8Array }> {
    const parts: Uint8Array[] = [];
    for await (const { data } of request) parts.push(data);
    const bytes = new Uint8Array(Buffer.concat(parts));
    const digest = blake3(bytes);
    this.blobs.set(hex(digest), bytes);
    this.writes.blobs++;
    return { digest };
  }

  async *#directory(digest: Uint8Array): AsyncGenerator<Directory> {
    const bytes = this.directories.get(hex(digest));
    if (!bytes) throw new ConnectError("directory not found", Code.NotFound);
    yield fromBinary(DirectorySchema, bytes);
  }

  /** Yields nothing if the root is missing. */
  async *#closure(root: Uint8Array): AsyncGenerator<Directory> {
    const seen = new Set<string>();
    for (const queue = [root]; queue.length > 0; ) {
      const key = hex(queue.shift() as Uint8Array);
      const bytes = this.directories.get(key);
      if (!bytes || seen.has(key)) continue;
      seen.add(key);
      const directory = fromBinary(DirectorySchema, bytes);
      queue.push(...directory.directories.map((child) => child.digest));
      yield directory;
    }
  }

  async #putDirectories(
    request: AsyncIterable<Pick<Directory, "directories" | "files" | "symlinks">>,
  ): Promise<{ rootDigest: Uint8Array }> {
    const sent = new Map<string, { bytes: Uint8Array; size: bigint }>();
    let root: Uint8Array | undefined;
    for await (const { directories, files, symlinks } of request) {
      const directory = create(DirectorySchema, { directories, files, symlinks });
      for (const { name, digest, size } of directory.directories) {
        const child = sent.get(hex(digest));
        if (!child) throw new ConnectError("unexpected directory reference", Code.Internal);
        if (child.size !== size) {
          const text = `'${Buffer.from(name)}' has wrong size, specified ${size}, recorded ${child.size}`;
          throw new ConnectError(text, Code.Internal);
        }
      }
      const bytes = toBinary(DirectorySchema, directory);
      root = blake3(bytes);
      sent.set(hex(root), { bytes, size: StrictPeer.size(directory, this.#options.entryWeight) });
    }
    if (!root) throw new ConnectError("no directories", Code.Internal);
    for (const [key, { bytes }] of sent) this.directories.set(key, bytes);
    this.writes.directories++;
    return { rootDigest: root };
  }

  #pathInfo(key: string) {
    const found = this.pathInfos.get(key);
    if (!found) throw new ConnectError("PathInfo not found", Code.NotFound);
    return found;
  }

  #putPathInfo(info: { root: Oneof; references: Uint8Array[]; narinfo?: object | undefined }): string {
    const { root, references, narinfo } = info;
    if (!narinfo) throw new ConnectError("Invalid path info: missing narinfo", Code.InvalidArgument);
    const name = Buffer.from(root.value?.name ?? []).toString();
    const key = hex(nixbase32(name.slice(0, 32)));
    this.pathInfos.set(key, { root, references, narinfo });
    this.writes.pathInfos++;
    return key;
  }

  #calculate(root: Oneof): { narSize: bigint; narSha256: Uint8Array } {
    const isNamed = (root.value?.name.length ?? 0) > 0;
    if (isNamed !== this.#options.namedRoots) throw new ConnectError("invalid root node", Code.InvalidArgument);
    const nar = Buffer.concat([token("nix-archive-1"), this.#nar(root)]);
    return { narSize: BigInt(nar.length), narSha256: createHash("sha256").update(nar).digest() };
  }

  #nar({ case: kind, value }: Oneof): Buffer {
    const wrap = (...parts: Uint8Array[]) => Buffer.concat([token("("), token("type"), ...parts, token(")")]);
    if (kind === "symlink") return wrap(token("symlink"), token("target"), token(value?.target ?? ""));
    if (kind === "file") {
      const bytes = this.blobs.get(hex(value?.digest ?? new Uint8Array()));
      if (!bytes) throw new ConnectError("blob not found", Code.DataLoss);
      const executable = value?.executable ? [token("executable"), token("")] : [];
      return wrap(token("regular"), ...executable, token("contents"), token(bytes));
    }
    const message = this.directories.get(hex(value?.digest ?? new Uint8Array()));
    if (!message) throw new ConnectError("directory not found", Code.DataLoss);
    const { directories, files, symlinks } = fromBinary(DirectorySchema, message);
    const entries: Oneof[] = [
      ...directories.map((value) => ({ case: "directory" as const, value })),
      ...files.map((value) => ({ case: "file" as const, value })),
      ...symlinks.map((value) => ({ case: "symlink" as const, value })),
    ];
    entries.sort((a, b) => Buffer.compare(a.value?.name ?? Buffer.of(), b.value?.name ?? Buffer.of()));
    const parts = entries.map((entry) =>
      Buffer.concat([
        ...[token("entry"), token("("), token("name"), token(entry.value?.name ?? ""), token("node")],
        this.#nar(entry),
        token(")"),
      ]),
    );
    return wrap(token("directory"), ...parts);
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function token(content: string | Uint8Array): Buffer {
  const bytes = Buffer.from(content as string);
  const length = Buffer.alloc(8);
  length.writeUInt32LE(bytes.length);
  return Buffer.concat([length, bytes, Buffer.alloc(-bytes.length & 7)]);
}

function nixbase32(text: string): Uint8Array {
  let value = 0n;
  for (const digit of text) value = value * 32n + BigInt("0123456789abcdfghijklmnpqrsvwxyz".indexOf(digit));
  const bytes = new Uint8Array(20);
  for (let i = 0; i < 20; i++, value >>= 8n) bytes[i] = Number(value & 255n);
  return bytes;
}
