import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { ReferenceScanner } from "../nix/reference-scanner.ts";
import { parseStorePath, storePathBaseName, storePathHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import { renderNar } from "./nar.ts";

/**
 * Finds the store paths that the content of `node` refers to. A path counts if its hash part occurs
 * in the NAR: in a file, a name or the target of a symlink. Nix finds the references of a build in
 * the same way. Progress: `reading`, in bytes of the NAR.
 *
 * @param candidates absolute paths or base names. To find self-references, include the content's
 *   own path.
 * @returns base names, sorted
 * @throws StoreError `invalid` if a candidate is not a store path; `not-found` if content is
 *   missing; `corrupt` if content does not match its node
 */
export async function scanReferences(
  castore: CastoreServices,
  node: Node,
  candidates: Iterable<string>,
  { signal, onProgress, total }: OperationOptions & { readonly total?: number | undefined } = {},
): Promise<string[]> {
  const names = new Map<string, string>();
  for (const candidate of candidates) {
    const path = parseStorePath(candidate);
    names.set(storePathHashPart(path), storePathBaseName(path));
  }
  const scanner = new ReferenceScanner(names.keys());
  let loaded = 0;
  for await (const bytes of iterate(renderNar(castore, node, { signal }), signal)) {
    scanner.push(bytes);
    loaded += bytes.length;
    onProgress?.({ phase: "reading", unit: "bytes", loaded, total });
  }
  return Array.from(scanner.found, (hashPart) => names.get(hashPart) ?? hashPart).sort();
}
