import { connectRemoteStore } from "../../backends/remote.ts";
import { connectGrpc, type GrpcAddress } from "../grpc.ts";
import { UsageError } from "../usage-error.ts";
import { parsePath, parsePrefixedUrl } from "./address-text.ts";
import type { Backend } from "./backend.ts";

export const grpcBackend: Backend<GrpcAddress, "blobs" | "directories" | "pathInfos"> = {
  schemes: ["grpc+http", "grpc+https", "grpc+unix"],
  capabilities: ["blobs", "directories", "pathInfos"],
  help: { form: "grpc+http://HOST:PORT", text: "a daemon; also grpc+https://HOST:PORT and grpc+unix:PATH" },
  parse(address) {
    const { text, scheme } = address;
    if (scheme === "grpc+unix") return { scheme, path: parsePath(address) };
    const url = parsePrefixedUrl(address, "grpc+");
    if (url?.pathname !== "/" || url.search) throw new UsageError(`the address ${text} is not ${scheme}://HOST:PORT`);
    return { scheme, url: url.origin };
  },
  format,
  async open(address) {
    const connection = connectGrpc(address);
    const { blobs, directories, pathInfos, calculateNar } = connectRemoteStore(connection.transport, { name: format(address) });
    return { blobs, directories, pathInfos, calculateNar, close: connection.close };
  },
  // The daemon doesn't speak TLS, so an address with TLS is another server.
  endpoint: (address) => (address.scheme === "grpc+https" ? undefined : address),
};

function format(address: GrpcAddress): string {
  return "path" in address ? `${address.scheme}:${address.path}` : `grpc+${address.url}`;
}
