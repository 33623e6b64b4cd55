import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectCacheCastore } from "../../src/backends/cache-castore.ts";
import { createMemoryStore, MemoryDirectoryStore } from "../../src/backends/memory.ts";
import { connectRemoteStore } from "../../src/backends/remote.ts";
import { CachedDirectories } from "../../src/castore/cached-directories.ts";
import { StoredDirectoryService } from "../../src/castore/directory-store.ts";
import { blobServiceSuite } from "../../src/conformance/blob-service.ts";
import { directoryServiceSuite } from "../../src/conformance/directory-service.ts";
import { pathInfoServiceSuite } from "../../src/conformance/path-info-service.ts";
import type { OpenedBackend, SuiteBackend } from "../../src/conformance/suite-backend.ts";
import { generateSecretKey } from "../../src/nix/ed25519.ts";
import { parseHashPart } from "../../src/nix/store-path.ts";
import { backendOf, parseAddress } from "../../src/node/addresses.ts";
import type { Capability } from "../../src/node/backends/backend.ts";
import { NodeHashEngine } from "../../src/node/node-hash-engine.ts";
import { putAfter, storeAfter } from "../../src/node/publishing.ts";
import { offers, openServices } from "../../src/node/services.ts";
import { DerivedDirectories } from "../../src/store/derived-directories.ts";
import { renderNar } from "../../src/store/nar.ts";
import { narUrl, renderNarInfo } from "../../src/store/nar-info.ts";
import { publishAfter } from "../../src/store/publish-after.ts";
import { readOnly } from "../../src/store/read-only.ts";
import type { RemoteStore, StoreServices } from "../../src/store/services.ts";
import { signing } from "../../src/store/signing.ts";
import { createBrowserTransport } from "../../src/wire/transport.ts";
import { readAll } from "./content.ts";
import { startLiveDaemon } from "./live-daemon.ts";
import { type OpenedInNode, ROWS } from "./matrix.ts";

const engine = new NodeHashEngine();

type Opener = Omit<SuiteBackend, "name" | "canDelete"> & {
  /** The services that have suites; by default all. */
  readonly services?: readonly Capability[];
};

/** Opens services around those of a store in memory. */
function around(wrap: (store: ReturnType<typeof createMemoryStore>) => StoreServices): Opener {
  return { open: async () => ({ store: wrap(createMemoryStore()), close: async () => {} }) };
}

function remote(connect: (url: string) => RemoteStore): Opener {
  return {
    async open() {
      const daemon = await startLiveDaemon();
      return { store: connect(daemon.address), close: () => daemon.close() };
    },
  };
}

const overHttp = (protocol: "connect" | "grpc-web"): Opener =>
  remote((url) => connectRemoteStore(createBrowserTransport({ baseUrl: url, protocol }), { name: url }));

/** Opens an address of the matrix. Services that its backend doesn't offer are in memory. */
async function openAtAddress(template: string): Promise<OpenedBackend> {
  const dir = template.includes("DIR") ? await mkdtemp(join(tmpdir(), "conformance-")) : "";
  const daemon = template.includes("DAEMON") ? await startLiveDaemon() : undefined;
  const address = template.replace("DIR", dir).replace("DAEMON", daemon?.address.replace("http://", "") ?? "");
  const at = (capability: Capability): string => (offers(parseAddress(address), capability) ? address : "memory:");
  const addresses = { blobs: at("blobs"), directories: at("directories"), pathInfos: at("pathInfos") };
  const store = await openServices(addresses, engine);
  const close = async (): Promise<void> => {
    await store.close();
    await daemon?.close();
    if (dir !== "") await rm(dir, { recursive: true });
  };
  return { store, close };
}

/** Reads path infos from a cache that the suite fills, and imports their content into memory. */
async function openNixCache(): Promise<OpenedBackend> {
  const files = new Map<string, string | Uint8Array>([["nix-cache-info", "StoreDir: /nix/store\n"]]);
  const server = createServer(({ url = "" }, answer) => {
    const file = files.get(url.slice(1));
    answer.writeHead(file === undefined ? 404 : 200).end(file);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `nix+http://127.0.0.1:${(server.address() as AddressInfo).port}?require-sigs=false`;
  const store = await openServices({ blobs: "memory:", directories: "memory:", pathInfos: url }, engine);
  const put: StoreServices["pathInfos"]["put"] = async (info) => {
    files.set(`${parseHashPart(info.storePath)}.narinfo`, renderNarInfo(info));
    files.set(narUrl(info.node, info.narSize), (await readAll(renderNar(store, info.node))) ?? "");
    return info;
  };
  const close = async (): Promise<void> => {
    await store.close();
    server.closeAllConnections();
    server.close();
  };
  return { store, fill: { blobs: store.blobs, directories: store.directories, pathInfos: { put } }, close };
}

const SIGNER = await generateSecretKey("conformance-key");
const flush = async (): Promise<void> => {};

const OPENERS: Record<OpenedInNode, Opener> = {
  "memory, cached": around((store) => ({ ...store, directories: new CachedDirectories(store.directories) })),
  "memory, derived": around((store) => ({
    ...store,
    directories: new DerivedDirectories(store.directories, { inMemory: true }),
  })),
  "memory, read-only": {
    readOnly: true,
    async open() {
      const fill = createMemoryStore();
      return { store: readOnly(fill), fill, close: async () => {} };
    },
  },
  "memory, signing": {
    signedBy: SIGNER.name,
    ...around((store) => ({ ...store, pathInfos: signing(store.pathInfos, [SIGNER]) })),
  },
  "memory, flushed before references": around(({ blobs, pathInfos }) => ({
    blobs,
    directories: putAfter(new StoredDirectoryService(storeAfter(new MemoryDirectoryStore(), flush)), flush),
    pathInfos: publishAfter(pathInfos, flush),
  })),
  "remote over Connect": overHttp("connect"),
  "remote over gRPC-Web": overHttp("grpc-web"),
  "remote at a cache's address": remote((url) => connectCacheCastore(url, engine)),
  "nix binary cache": { services: ["pathInfos"], readOnly: true, canList: false, open: openNixCache },
};

const SUITES = { blobs: blobServiceSuite, directories: directoryServiceSuite, pathInfos: pathInfoServiceSuite } as const;
const ALL: readonly Capability[] = ["blobs", "directories", "pathInfos"];

function run(name: string, { services = ALL, ...backend }: Opener): void {
  const { canDelete } = ROWS[name] ?? {};
  for (const [service, suite] of Object.entries(SUITES))
    if (services.includes(service as Capability)) suite({ name, canDelete, ...backend });
}

for (const [name, { runtimes, address }] of Object.entries(ROWS))
  if (address !== undefined && runtimes.includes("node"))
    run(name, { services: backendOf(parseAddress(address)).capabilities, open: () => openAtAddress(address) });
for (const [name, opener] of Object.entries(OPENERS)) run(name, opener);
