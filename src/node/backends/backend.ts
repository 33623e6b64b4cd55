import type { CastoreServices } from "../../castore/services.ts";
import type { HashEngine } from "../../hash/engine.ts";
import type { BinaryCache } from "../../store/binary-cache.ts";
import type { CalculateNarThere, StoreServices } from "../../store/services.ts";
import type { TrustPolicy } from "../../store/trust.ts";
import type { UploadRecords } from "../binary-cache/uploads.ts";
import type { AddressText } from "./address-text.ts";

/** A parsed address. Each backend adds its own fields, which must be plain data. */
export interface Address {
  readonly scheme: string;
}

/** A binary cache that store paths can be imported from. */
export interface SubstituteSource {
  readonly cache: BinaryCache;
  /** Castore services at the same address, which the cache may lack. */
  readonly castore: CastoreServices;
  readonly trust: TrustPolicy;
}

/** Everything that an address can offer. */
export interface Offers extends StoreServices {
  /**
   * A source that has no storage of its own: it imports store paths into services at other
   * addresses.
   */
  readonly substitutes: SubstituteSource;
}

export type Capability = keyof Offers;

/**
 * The services at one address, after `open`. A service that the backend doesn't offer is
 * `undefined`.
 */
export interface Opened extends Partial<Offers> {
  /** Where the daemon keeps the data that clients have put into its binary cache. */
  readonly uploadRecords?: UploadRecords | undefined;
  /** Calculates NARs at the remote, if the address is a remote. */
  readonly calculateNar?: CalculateNarThere | undefined;
  /** Resolves when everything that was put before survives a crash. */
  flush?(): Promise<void>;
  /** Flushes everything to disk, and closes files and connections. */
  close?(): Promise<void>;
}

/** Where requests to an address go: an HTTP URL, or the path of a Unix socket. */
export type Endpoint = { readonly url: string } | { readonly path: string };

/**
 * A kind of storage that addresses can name. Each backend is one file in this directory and one
 * line in registry.ts.
 */
export interface AnyBackend<A extends Address = Address> {
  /** Schemes of its addresses, in lower case. */
  readonly schemes: readonly A["scheme"][];
  readonly capabilities: readonly Capability[];
  /** The lines of `--help` about its addresses. */
  readonly help: BackendHelp;

  /** @throws UsageError if the address is wrong */
  parse(address: AddressText<A["scheme"]>): A;

  /** Formats an address in canonical form: addresses with the same meaning give the same text. */
  format(address: A): string;

  /**
   * Opens an address, and returns all services at this address. It is called once for each address,
   * even if several services have the address.
   *
   * @throws StoreError if opening fails
   */
  open(address: A, engine: HashEngine): Promise<Opened>;

  /** Returns where requests go, so that a daemon can refuse to be its own storage. */
  endpoint?(address: A): Endpoint | undefined;
}

/** A backend whose `open` returns every service that `capabilities` names. */
export interface Backend<A extends Address, C extends Capability> extends AnyBackend<A> {
  readonly capabilities: readonly C[];
  open(address: A, engine: HashEngine): Promise<Opened & Pick<Offers, C>>;
}

export interface BackendHelp {
  /** Form of an address, such as `file:DIR`. */
  readonly form: string;
  /** Description of the address, for `--help`, which wraps the text. */
  readonly text: string;
}
