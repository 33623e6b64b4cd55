import type { Node } from "../castore/node.ts";
import type { CastoreServices } from "../castore/services.ts";
import { ReferenceScanner } from "../nix/reference-scanner.ts";
import { parseStorePath, storePathBaseName, storePathHashPart } from "../nix/store-path.ts";
import type { OperationOptions } from "../progress.ts";
import { iterate } from "../stream.ts";
import { renderNar } from "./nar.ts";

/**
 * Which of some store paths the content of `node` refers to: those whose hash part is in its NAR, so in files, in names and in the targets of
 * symlinks, as Nix looks for the references of what it has built. Progress: `reading`, in bytes of the NAR.
 *
 * @param candidates absolute paths or base names, the content's own among them if references to itself matter
 * @returns base names, sorted
 * @throws StoreError `invalid` for what is no store path, `not-found` if content is missing, `corrupt`
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
    onProgress?.({ phase: "reading", loaded, total });
  }
  return Array.from(scanner.found, (hashPart) => names.get(hashPart) ?? hashPart).sort();
}
