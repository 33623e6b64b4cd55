import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";

export interface FolderServer {
  /** URL of the server. Ends in a slash. */
  readonly url: string;
  close(): void;
}

/** Serves the files of a folder to pages of any origin. */
export async function serveFolder(folder: string): Promise<FolderServer> {
  const server = createServer(({ url = "/" }, answer) => {
    const file = createReadStream(join(folder, normalize(`/${new URL(url, "http://localhost").pathname}`)));
    file.once("open", () => {
      answer.writeHead(200, { "access-control-allow-origin": "*" });
      file.pipe(answer);
    });
    file.once("error", () => answer.writeHead(404, { "access-control-allow-origin": "*" }).end());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}
