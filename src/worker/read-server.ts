import { transfer } from "comlink";
import type { ByteRange } from "../byte-range.ts";
import { ownBytes } from "../bytes.ts";
import type { Digest } from "../castore/digest.ts";
import type { Node } from "../castore/node.ts";
import { StoreError } from "../error.ts";
import { parsePublicKeys } from "../nix/key.ts";
import { parseHashPart } from "../nix/store-path.ts";
import { closureOf, requirePathInfo } from "../store/closure.ts";
import { requireNode } from "../store/list.ts";
import { type ListEntry, listEntry } from "../store/list-entry.ts";
import { renderNar } from "../store/nar.ts";
import { renderNarInfo } from "../store/nar-info.ts";
import { renderNarListing } from "../store/nar-listing.ts";
import { exportNario } from "../store/nario.ts";
import type { PathInfo } from "../store/path-info.ts";
import { scanReferences } from "../store/scan-references.ts";
import type { LocalStoreServices } from "../store/services.ts";
import { reportSignatures, type SignatureReport } from "../store/signature-report.ts";
import { iterate } from "../stream.ts";
import { operationOptions } from "../thread/operation-port.ts";
import { Gathered, sendStream } from "../thread/port-stream.ts";
import type { NarioOptions, NarPart, ReadApi } from "../thread/read-api.ts";
import { inBatches } from "./batches.ts";
import type { StoreOperations } from "./store-operations.ts";

/** Implements the calls that read the store. */
export class ReadServer implements ReadApi {
  readonly #operations: StoreOperations;

  constructor(operations: StoreOperations) {
    this.#operations = operations;
  }

  async pathInfo(storePath: string): Promise<PathInfo | undefined> {
    return this.#services.pathInfos.get(parseHashPart(storePath));
  }

  pathInfos(to: MessagePort): void {
    sendStream(
      to,
      inBatches(() => this.#services.pathInfos.list()),
    );
  }

  async list(storePath: string, path: string | Uint8Array): Promise<ListEntry[] | undefined> {
    const entries = await this.#operations.store.resolver.list(storePath, path);
    return entries?.map(listEntry);
  }

  async node(storePath: string, path: string | Uint8Array): Promise<Node | undefined> {
    return this.#operations.store.resolver.resolve(storePath, path);
  }

  readBlob(digest: Digest, range: ByteRange, to: MessagePort): void {
    const services = this.#services;
    sendStream(
      to,
      (async function* () {
        yield* iterate(await openBlob(services, digest, range));
      })(),
    );
  }

  async readBytes(digest: Digest, range: ByteRange): Promise<Uint8Array> {
    const stream = await openBlob(this.#services, digest, range);
    const parts: Uint8Array[] = [];
    for await (const bytes of iterate(stream)) parts.push(bytes);
    // The page gets the buffer itself, not a copy.
    const bytes = ownBytes(parts);
    return transfer(bytes, [bytes.buffer]);
  }

  nar(storePath: string, { path = "", offset = 0, length = Number.POSITIVE_INFINITY }: NarPart, to: MessagePort): void {
    const services = this.#services;
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      const node = await requireNode(services, storePath, path);
      yield* iterate(renderNar(services, node, { range: { offset, length } }));
    };
    sendStream(to, new Gathered(pieces()));
  }

  nario(storePaths: string[] | undefined, options: NarioOptions, operation: MessagePort, to: MessagePort): void {
    const { services, pool } = this.#operations.store;
    const { closure = true, notes } = options;
    const { finish, ...running } = operationOptions(operation);
    const pieces = async function* (): AsyncGenerator<Uint8Array> {
      try {
        const infos = await pathsToExport(services, storePaths, closure, running.signal);
        for await (const bytes of exportNario(services, infos, { ...running, engine: pool, notes })) yield bytes;
      } finally {
        finish();
      }
    };
    sendStream(to, new Gathered(pieces()));
  }

  async narListing(storePath: string, path: string | Uint8Array): Promise<string> {
    const services = this.#services;
    let listing = "";
    for await (const text of renderNarListing(services, await requireNode(services, storePath, path))) listing += text;
    return listing;
  }

  async narInfo(storePath: string): Promise<string | undefined> {
    const info = await this.pathInfo(storePath);
    return info && renderNarInfo(info);
  }

  async verifySignatures(storePath: string, trustedPublicKeys: string[]): Promise<SignatureReport> {
    const keys = parsePublicKeys(trustedPublicKeys);
    return reportSignatures(await requirePathInfo(this.#services.pathInfos, storePath), keys);
  }

  async scanReferences(storePath: string, candidates: string[] | undefined, operation: MessagePort): Promise<string[]> {
    const services = this.#services;
    return this.#operations.run(operation, async (options) => {
      const info = await requirePathInfo(services.pathInfos, storePath, options);
      const known = new Set(candidates ?? [info.storePath, ...info.references]);
      if (!candidates) for await (const { storePath } of services.pathInfos.list(options)) known.add(storePath);
      return scanReferences(services, info.node, known, { ...options, total: info.narSize });
    });
  }

  get #services(): LocalStoreServices {
    return this.#operations.store.services;
  }
}

async function openBlob({ blobs }: LocalStoreServices, digest: Digest, range: ByteRange): Promise<ReadableStream<Uint8Array>> {
  const stream = await blobs.open(digest, range);
  if (!stream) throw new StoreError("not-found", "the file's content is missing from the store");
  return stream;
}

/**
 * Collects the path infos to export.
 *
 * @param storePaths all paths of the store by default; these already form a closure
 */
async function pathsToExport(
  { pathInfos }: LocalStoreServices,
  storePaths: readonly string[] | undefined,
  closure: boolean,
  signal: AbortSignal,
): Promise<Iterable<PathInfo>> {
  const infos = new Map<string, PathInfo>();
  const found = storePaths && closure ? await closureOf(pathInfos, storePaths, { signal }) : [];
  for (const info of found) infos.set(info.storePath, info);
  if (!storePaths) for await (const info of pathInfos.list({ signal })) infos.set(info.storePath, info);
  else if (!closure) {
    for (const storePath of storePaths) {
      const info = await requirePathInfo(pathInfos, storePath, { signal });
      infos.set(info.storePath, info);
    }
  }
  return infos.values();
}
