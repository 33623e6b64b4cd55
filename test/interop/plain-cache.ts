import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";

export interface PlainCache {
  readonly address: string;
  /** Uploaded files by path. */
  readonly files: ReadonlyMap<string, Buffer>;
  close(): Promise<void>;
}

/**
 * Starts a web server that knows nothing about Nix. It stores the bytes of each PUT, and returns
 * them.
 */
export async function startPlainCache(): Promise<PlainCache> {
  const files = new Map<string, Buffer>();
  const server = createServer(async (request, answer) => {
    const path = decodeURIComponent(request.url ?? "/");
    if (request.method === "PUT") {
      files.set(path, await buffer(request));
      answer.writeHead(201).end();
      return;
    }
    const file = files.get(path);
    answer.writeHead(file ? 200 : 404, { "content-length": file?.length ?? 0 });
    answer.end(request.method === "HEAD" ? undefined : file);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    files,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}
