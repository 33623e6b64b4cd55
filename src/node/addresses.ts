import type { AnyBackend } from "./backends/backend.ts";
import { BACKENDS, NOT_BUILT } from "./backends/registry.ts";
import { UsageError } from "./usage-error.ts";

/** Address of a service, as flags such as `--blob-service-addr` accept it. */
export type ServiceAddress = ReturnType<(typeof BACKENDS)[number]["parse"]>;

/** Every backend, typed as if it took any address. Only addresses of its own schemes reach it. */
const REGISTERED: readonly AnyBackend<ServiceAddress>[] = BACKENDS;

/**
 * Parses an address. The backend of the scheme parses the text after the colon.
 *
 * @throws UsageError if the address is wrong, or if its scheme is unknown or not supported yet; the
 *   message then names the scheme
 */
export function parseAddress(text: string): ServiceAddress {
  const [, scheme, rest] = /^([a-z][a-z0-9+.-]*):(.*)$/is.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) throw new UsageError(`not a service address: ${JSON.stringify(text)}`);
  for (const backend of REGISTERED) {
    const own = backend.schemes.find((one) => one === scheme);
    if (own !== undefined) return backend.parse({ text, scheme: own, rest });
  }
  throw new UsageError(
    NOT_BUILT.has(scheme) ? `the address scheme ${scheme} is not supported yet` : `the address scheme ${scheme} is unknown`,
  );
}

/** Formats an address in canonical form: addresses with the same meaning give the same text. */
export function formatAddress(address: ServiceAddress): string {
  return backendOf(address).format(address);
}

/** Returns the backend that parsed `address`. */
export function backendOf({ scheme }: ServiceAddress): AnyBackend<ServiceAddress> {
  const backend = REGISTERED.find(({ schemes }) => schemes.includes(scheme));
  if (!backend) throw new Error(`no backend has the scheme ${scheme}`);
  return backend;
}
