/** Entry point `tvix-store-web/elements`: importing it registers the custom elements. */
import { TvixBinaryCache } from "./binary-cache.ts";
import { TvixFilePreview } from "./file-preview.ts";
import { TvixFileTree } from "./file-tree.ts";
import { TvixImport } from "./import.ts";
import { TvixPathInfo } from "./path-info.ts";
import { TvixStoreStorage } from "./storage.ts";
import { TvixStorePaths } from "./store-paths.ts";
import { TvixStoreViewer } from "./store-viewer.ts";
import { TvixSync } from "./sync.ts";
import { TvixTrustedKeys } from "./trusted-keys.ts";

export type { ImportSource } from "./import-source.ts";
export type { ListedPath } from "./store-paths.ts";
export {
  TvixBinaryCache,
  TvixFilePreview,
  TvixFileTree,
  TvixImport,
  TvixPathInfo,
  TvixStorePaths,
  TvixStoreStorage,
  TvixStoreViewer,
  TvixSync,
  TvixTrustedKeys,
};

const ELEMENTS = {
  "tvix-store-paths": TvixStorePaths,
  "tvix-file-tree": TvixFileTree,
  "tvix-file-preview": TvixFilePreview,
  "tvix-path-info": TvixPathInfo,
  "tvix-import": TvixImport,
  "tvix-trusted-keys": TvixTrustedKeys,
  "tvix-binary-cache": TvixBinaryCache,
  "tvix-sync": TvixSync,
  "tvix-store-storage": TvixStoreStorage,
  "tvix-store-viewer": TvixStoreViewer,
};

// A page may load two copies of this module, from two bundles. The first one defines the elements.
for (const [name, element] of Object.entries(ELEMENTS)) if (!customElements.get(name)) customElements.define(name, element);

declare global {
  interface HTMLElementTagNameMap {
    "tvix-store-paths": TvixStorePaths;
    "tvix-file-tree": TvixFileTree;
    "tvix-file-preview": TvixFilePreview;
    "tvix-path-info": TvixPathInfo;
    "tvix-import": TvixImport;
    "tvix-trusted-keys": TvixTrustedKeys;
    "tvix-binary-cache": TvixBinaryCache;
    "tvix-sync": TvixSync;
    "tvix-store-storage": TvixStoreStorage;
    "tvix-store-viewer": TvixStoreViewer;
  }
}
