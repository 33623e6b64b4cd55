import type { BlobUploader } from "../castore/blob-uploader.ts";
import { fileEntry } from "../castore/file-entry.ts";
import type { FileNode } from "../castore/node.ts";
import { tarEntries } from "../castore/tar-entries.ts";
import { decompressed } from "../compression/decompress.ts";
import type { Addressing } from "../store/addressing.ts";
import { importEntries, importNar } from "../store/import.ts";
import { importNario } from "../store/nario.ts";
import type { PathInfo } from "../store/path-info.ts";
import type { ArchiveOptions, ArchiveSource, FolderSource, ImportApi, ImportedPathInfo } from "../thread/import-api.ts";
import { folderEntries, notTold } from "./folder-entries.ts";
import { importBlob } from "./pins.ts";
import type { StoreOperations } from "./store-operations.ts";

/** Implements the calls that write content of the page into the store. */
export class ImportServer implements ImportApi {
  readonly #operations: StoreOperations;

  constructor(operations: StoreOperations) {
    this.#operations = operations;
  }

  async importFolder(source: FolderSource, addressing: Addressing, operation: MessagePort): Promise<ImportedPathInfo> {
    return this.#operations.write(operation, async ({ services, pool }, options) => {
      const info = await importEntries(services, pool, (uploader) => folderEntries(source, uploader, options), {
        ...options,
        ...addressing,
      });
      return { ...info, notTold: notTold(source) };
    });
  }

  async importArchive(source: ArchiveSource, archive: ArchiveOptions, operation: MessagePort): Promise<PathInfo> {
    const name = "name" in archive ? archive.name : undefined;
    return this.#operations.read(source, name, operation, (stream, { services, pool }, { reuse, size, ...options }) => {
      const { format, ...naming } = archive;
      if ("narInfo" in naming || format === "nar")
        return importNar(services, pool, decompressed(stream, options.signal), {
          ...options,
          ...naming,
          reuse,
          size,
          onProgress: undefined,
        });
      const entries = (uploader: BlobUploader) =>
        archive.format === "tar"
          ? tarEntries(decompressed(stream, options.signal), uploader, { signal: options.signal, stripRoot: archive.stripRoot })
          : fileEntry(stream, uploader, { signal: options.signal });
      return importEntries(services, pool, entries, { ...options, ...naming });
    });
  }

  async importNario(source: ArchiveSource, operation: MessagePort): Promise<PathInfo[]> {
    return this.#operations.read(source, "nario", operation, async (stream, { services, pool }, { signal }) => {
      const infos: PathInfo[] = [];
      for await (const info of importNario(services, pool, decompressed(stream, signal), { signal })) infos.push(info);
      return infos;
    });
  }

  async importBlob(source: ArchiveSource, pin: string, operation: MessagePort): Promise<FileNode> {
    return this.#operations.read(source, pin, operation, (bytes, { services, session }, options) =>
      importBlob(services.blobs, session, bytes, pin, options),
    );
  }
}
