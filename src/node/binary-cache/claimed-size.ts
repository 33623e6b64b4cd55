import type { FileNode, Node } from "../../castore/node.ts";
import type { CastoreServices } from "../../castore/services.ts";
import { StoreError } from "../../error.ts";
import { RecentlyUsed } from "../../recently-used.ts";
import { narSize } from "../../store/nar.ts";
import { iterate } from "../../stream.ts";
import { requireRoot } from "./root.ts";

/** Maximum number of NARs whose size is remembered. Each takes some 100 bytes. */
const REMEMBERED = 16_384;

/**
 * Checks the sizes that NAR URLs claim, before the server answers. The size of a NAR is calculated
 * from its directories alone. Content never changes, so the size is calculated once and remembered.
 */
export class ClaimedSizes {
  readonly #castore: CastoreServices;
  readonly #known = new RecentlyUsed<string, number>(REMEMBERED);

  constructor(castore: CastoreServices) {
    this.#castore = castore;
  }

  /**
   * @param key identifies the node
   * @param claimed size of the node's NAR that the URL claims, in bytes
   * @throws StoreError `not-found` if the root or a directory beneath it is missing; `invalid` if
   *   the NAR has another size, or if the root is a file whose size differs from the node's
   */
  async check(key: string, node: Node, claimed: number, signal: AbortSignal): Promise<void> {
    const known = this.#known.get(key);
    // The content may have been deleted since its size was calculated.
    if (known !== undefined) await requireRoot(this.#castore, node, signal);
    const size = known ?? (await this.#measure(node, signal));
    if (known === undefined) this.#known.set(key, size);
    if (size !== claimed) throw new StoreError("invalid", `the NAR has ${size} bytes, but its URL says ${claimed}`);
  }

  async #measure(node: Node, signal: AbortSignal): Promise<number> {
    if (node.kind === "file") await this.#checkFile(node, signal);
    return narSize(this.#castore, node, { signal });
  }

  /**
   * Checks the size of a root file. Only the URL states this size, because no directory contains
   * the file.
   */
  async #checkFile({ digest, size }: FileNode, signal: AbortSignal): Promise<void> {
    const { blobs } = this.#castore;
    const [stat] = await blobs.stat([digest], { signal });
    if (!stat) throw new StoreError("not-found", "the content is not in the store");
    if (stat.chunks.length > 0) {
      if (BigInt(stat.chunks.reduce((sum, chunk) => sum + chunk.size, 0)) !== size) throw wrongFileSize(size);
      return;
    }
    // The blob is one chunk, or the store doesn't list chunks. Read the last byte and one more.
    const expected = size === 0n ? 0 : 1;
    const tail = await blobs.open(digest, { offset: Math.max(0, Number(size) - 1), length: 2, signal });
    if (!tail) throw new StoreError("not-found", "the content is not in the store");
    let found = 0;
    for await (const piece of iterate(tail, signal)) found += piece.length;
    if (found !== expected) throw wrongFileSize(size);
  }
}

function wrongFileSize(size: bigint): StoreError {
  return new StoreError("invalid", `the URL says that the file has ${size} bytes, but it has another size`);
}
