/**
 * The conformance suites on services in memory, for the mutation tester. test/conformance runs them
 * too, but its files load the daemon, which would take seconds for each mutant.
 */

import { createMemoryStore } from "../../src/backends/memory.ts";
import { MemoryObjectStore } from "../../src/backends/memory-objects.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { blobServiceSuite } from "../../src/conformance/blob-service.ts";
import { directoryServiceSuite } from "../../src/conformance/directory-service.ts";
import { objectStoreSuite } from "../../src/conformance/object-store.ts";
import { pathInfoServiceSuite } from "../../src/conformance/path-info-service.ts";
import type { SuiteBackend } from "../../src/conformance/suite-backend.ts";
import { generateSecretKey } from "../../src/nix/ed25519.ts";
import { DerivedDirectories } from "../../src/store/derived-directories.ts";
import { readOnly } from "../../src/store/read-only.ts";
import { signing } from "../../src/store/signing.ts";

const close = async (): Promise<void> => {};
const signer = await generateSecretKey("suite-key");

const memory: SuiteBackend = { name: "memory", canDelete: true, open: async () => ({ store: createMemoryStore(), close }) };
const around = (name: string, wrap: (directories: ReturnType<typeof createMemoryStore>) => object): SuiteBackend => ({
  name,
  open: async () => {
    const store = createMemoryStore();
    return { store: { ...store, ...wrap(store) }, close };
  },
});
const frozen: SuiteBackend = {
  name: "read-only",
  readOnly: true,
  open: async () => {
    const fill = createMemoryStore();
    return { store: readOnly(fill), fill, close };
  },
};

blobServiceSuite(memory);
directoryServiceSuite(memory);
pathInfoServiceSuite(memory);
directoryServiceSuite(around("cached", ({ directories }) => ({ directories: new CachedDirectories(directories) })));
directoryServiceSuite(
  around("derived", ({ directories }) => ({ directories: new DerivedDirectories(directories, { inMemory: true }) })),
);
pathInfoServiceSuite({
  ...around("signing", ({ pathInfos }) => ({ pathInfos: signing(pathInfos, [signer]) })),
  signedBy: signer.name,
});
blobServiceSuite(frozen);
directoryServiceSuite(frozen);
pathInfoServiceSuite(frozen);
objectStoreSuite({ name: "memory", open: async () => ({ store: new MemoryObjectStore(), close }) });
