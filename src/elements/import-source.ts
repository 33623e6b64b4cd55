import type { DroppedFolder } from "../browser/dropped.ts";
import type { Store } from "../browser/store.ts";
import { NARIO_PATH_START } from "../nix/nario.ts";
import type { OperationOptions } from "../progress.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { NotTold } from "../thread/import-api.ts";
import { plural, showSize } from "./size.ts";

/** A source for an import: a folder, or an archive file. */
export type ImportSource = DroppedFolder | File;

/**
 * Kind of an archive. A nario names its store paths; the content of the other kinds gets a name
 * from the reader.
 */
export type ArchiveKind = "tar" | "nar" | "nario";

export const ARCHIVE_KINDS: Readonly<Record<ArchiveKind, string>> = {
  tar: "Tar archive",
  nar: "Nix archive (NAR)",
  nario: "Store paths of nix-store --export (nario)",
};

export interface Imported {
  /** Imported path infos; empty only for an empty nario. */
  readonly infos: readonly PathInfo[];
  readonly notTold: readonly NotTold[];
}

/**
 * Detects the kind of an archive. The first bytes decide if the archive is not compressed,
 * otherwise the file name.
 */
export async function detectArchive(file: File): Promise<ArchiveKind> {
  const named = /\.(nario|nar)(\.|$)/i.exec(file.name)?.[1]?.toLowerCase();
  const head = new Uint8Array(await file.slice(0, 32).arrayBuffer());
  const isNarAt = (start: number): boolean => String.fromCharCode(...head.subarray(start + 8, start + 21)) === "nix-archive-1";
  if (isNarAt(0)) return "nar";
  if (NARIO_PATH_START.every((byte, i) => byte === head[i]) && isNarAt(8)) return "nario";
  return named === "nar" || named === "nario" ? named : "tar";
}

/** Imports a source. @param options.name name of the store path; a nario ignores it */
export async function importSource(
  store: Store,
  source: ImportSource,
  archive: ArchiveKind,
  options: OperationOptions & { name: string },
): Promise<Imported> {
  if (!(source instanceof File)) {
    const info = await store.importDirectory(source.source, options);
    return { infos: [info], notTold: info.notTold };
  }
  if (archive === "nario") return { infos: await store.importNario(source, options), notTold: [] };
  const info = archive === "nar" ? await store.importNar(source, options) : await store.importTar(source, options);
  return { infos: [info], notTold: [] };
}

export function describeSource(source: ImportSource): string {
  if (source instanceof File) return showSize(source.size);
  if (!Array.isArray(source.source)) return "folder";
  const size = source.source.reduce((sum, file) => sum + file.size, 0);
  return `folder, ${plural(source.source.length, "file")}, ${showSize(size)}`;
}

const UNTOLD: Record<NotTold, string> = {
  "executable-bits": "which files are executable",
  symlinks: "which are symbolic links",
  "empty-directories": "directories without files",
};

export function describeNotTold(notTold: readonly NotTold[]): string {
  const list = new Intl.ListFormat("en", { type: "disjunction" }).format(notTold.map((fact) => UNTOLD[fact]));
  return `Browsers don't report ${list}, so this store path may differ from the one that Nix makes of the folder. A tar archive or a NAR keeps everything.`;
}
