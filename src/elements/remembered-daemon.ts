import { describeFailure } from "./failure.ts";

export type Protocol = "connect" | "grpc-web";

const ADDRESS = "tvix-store-web.daemon";
const PROTOCOL = "tvix-store-web.daemon-protocol";

/**
 * The daemon that the reader used last, on any page of this origin. Undefined if there is none, or
 * if the browser refuses storage.
 */
export function recallDaemon(): { address: string; protocol: Protocol } | undefined {
  try {
    const address = localStorage.getItem(ADDRESS);
    if (address === null) return undefined;
    return { address, protocol: localStorage.getItem(PROTOCOL) === "grpc-web" ? "grpc-web" : "connect" };
  } catch {
    return undefined;
  }
}

export function rememberDaemon(address: string, protocol: Protocol): void {
  try {
    localStorage.setItem(ADDRESS, address);
    localStorage.setItem(PROTOCOL, protocol);
  } catch (error) {
    console.warn(describeFailure(error));
  }
}
