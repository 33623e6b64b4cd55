import type { FileNode } from "../castore/node.ts";
import type { TarOptions } from "../castore/tar-entries.ts";
import type { OperationOptions } from "../progress.ts";
import type { Addressing } from "../store/addressing.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { ArchiveOptions, ImportedPathInfo } from "../thread/import-api.ts";
import { folderSource } from "./folder.ts";
import type { Archive } from "./store-calls.ts";
import { StoreReads } from "./store-reads.ts";

/** The methods of a `Store` that write content of the page into it. */
export class StoreImports extends StoreReads {
  /**
   * Imports a folder: a directory handle (from `showDirectoryPicker()` or a drop), or files with
   * their `webkitRelativePath`. By default, the store path is the one that `nix-store --add` gives
   * to a directory of this name and content. Browsers hide executable bits and symlinks; file lists
   * also hide empty directories. The field `notTold` of the result lists the properties of files
   * that the source can't report.
   */
  async importDirectory(
    source: FileSystemDirectoryHandle | Iterable<File>,
    options: Addressing & OperationOptions,
  ): Promise<ImportedPathInfo> {
    return this.calls.operation(options, (port) =>
      this.calls.api.imports.importFolder(folderSource(source), addressing(options), port),
    );
  }

  /**
   * Imports a tar archive, plain or compressed with gzip, xz, zstd, bzip2, lz4, lzip or lzma. Its
   * only top-level entry becomes the content of the store path. With `stripRoot: false`, the
   * content is a directory of all its top-level entries.
   */
  async importTar(archive: Archive, options: Addressing & TarOptions & OperationOptions): Promise<PathInfo> {
    const { stripRoot } = options;
    return this.#importArchive(archive, { format: "tar", stripRoot, ...addressing(options) }, options);
  }

  /**
   * Imports one file unchanged. The imported file is not executable. The method `flat` gives the
   * path of `nix store add-file`. The method `text`, with `references`, gives the path of
   * `builtins.toFile` and of derivations.
   */
  async importFile(content: Archive, options: Addressing & OperationOptions): Promise<PathInfo> {
    return this.#importArchive(content, { format: "file", ...addressing(options) }, options);
  }

  /**
   * Imports a NAR, plain or compressed like an archive of `importTar`. With `name`, the store path
   * follows from the name and the content. With `narInfo`, it is the path in that text, and the NAR
   * must match the size, hash and content address in the text.
   */
  async importNar(archive: Archive, options: (Addressing | { narInfo: string }) & OperationOptions): Promise<PathInfo> {
    const naming = "narInfo" in options ? { narInfo: options.narInfo } : addressing(options);
    return this.#importArchive(archive, { format: "nar", ...naming }, options);
  }

  /**
   * Imports the store paths of a nario, plain or compressed. A nario is a file written by
   * `nix-store --export`, the method `nario` or the command line. Each path becomes visible when
   * its content is complete, after its dependencies. If the import fails, the paths that were
   * imported before stay. Signatures are stored, but not checked.
   *
   * @returns the store paths, in the order of the nario
   * @throws StoreError `invalid` if the archive is not a nario; `not-found` if a path refers to one
   *   that is neither earlier in the nario nor in the store; `corrupt` if content does not match
   *   its content address; `conflict` if the store has a path with other content
   */
  async importNario(archive: Archive, options: OperationOptions = {}): Promise<PathInfo[]> {
    return this.calls.send(archive, options, (source, port) => this.calls.api.imports.importNario(source, port));
  }

  /**
   * Stores one blob without a store path, and pins it under the name `pin`. The pin replaces an
   * earlier pin of the same name. Once no pin and no store path contains the blob, the next garbage
   * collection deletes it.
   */
  async importBlob(content: Archive, options: { pin: string } & OperationOptions): Promise<FileNode> {
    return this.calls.send(content, options, (source, port) => this.calls.api.imports.importBlob(source, options.pin, port));
  }

  async #importArchive(archive: Archive, archiveOptions: ArchiveOptions, options: OperationOptions): Promise<PathInfo> {
    return this.calls.send(archive, options, (source, port) => this.calls.api.imports.importArchive(source, archiveOptions, port));
  }
}

/**
 * Returns only the fields of an `Addressing`, because the worker can't receive the other options.
 */
function addressing({ name, method, hashAlgorithm, references }: Addressing): Addressing {
  return { name, method, hashAlgorithm, references: references && [...references] };
}
