import type { ListenAddress } from "./server.ts";
import { UsageError } from "./usage-error.ts";

/**
 * Parses `HOST:PORT`, `[IPV6]:PORT` or `unix:PATH`.
 *
 * @throws UsageError if the address has another form
 */
export function parseListenAddress(text: string): ListenAddress {
  const path = /^unix:(?:\/\/(?=\/))?(.+)$/s.exec(text)?.[1];
  if (path !== undefined) return { path };
  const [, ipv6, name, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]/\s]+)):([0-9]{1,5})$/.exec(text) ?? [];
  const host = ipv6 ?? name;
  if (host === undefined || Number(port) > 65535) {
    throw new UsageError(`${JSON.stringify(text)} is not an address to listen on; use HOST:PORT, [IPV6]:PORT or unix:PATH`);
  }
  return { host, port: Number(port) };
}
