/** Serves the page, its scripts and archives from disk, on loopback. */

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { bundled, HEADERS } from "../page-server.ts";

const SCRIPTS = {
  "/page.js": "test/bench/storage/page.mts",
  "/peers.js": "test/bench/storage/worker.ts",
  "/store-worker.js": "src/worker/store-worker.ts",
  "/hash-worker.js": "src/worker/hash-worker.ts",
};

const PAGE = `<!doctype html>
<meta charset="utf-8" />
<title>bench</title>
<input type="file" id="file" />
<input type="file" id="folder" webkitdirectory />
<script type="module" src="/page.js"></script>
`;

export interface Server {
  readonly url: string;
  /** Returns the URL of a file on disk. */
  urlOf(path: string): string;
  close(): void;
}

export async function serve(root: string): Promise<Server> {
  const sources = new Map(Object.entries(SCRIPTS));
  // Bundle scripts on request, because most cases don't need the additional worker.
  const bodies = new Map<string, Promise<string>>();
  const script = (source: string): Promise<string> => {
    const body = bodies.get(source) ?? bundled(join(root, source));
    bodies.set(source, body);
    return body;
  };
  const files: string[] = [];
  const server = createServer(async (request, response) => {
    const path = request.url ?? "/";
    const source = sources.get(path);
    const file = files[Number(/^\/files\/(\d+)$/.exec(path)?.[1] ?? Number.NaN)];
    if (path === "/") response.writeHead(200, { ...HEADERS, "content-type": "text/html" }).end(PAGE);
    else if (source !== undefined) {
      try {
        const body = await script(source);
        response.writeHead(200, { ...HEADERS, "content-type": "text/javascript" }).end(body);
      } catch (error) {
        process.stderr.write(`bench: ${source}: ${error instanceof Error ? error.message : String(error)}\n`);
        response.writeHead(500, HEADERS).end();
      }
    } else if (file !== undefined) {
      const { size } = await stat(file);
      response.writeHead(200, { ...HEADERS, "content-type": "application/octet-stream", "content-length": size });
      createReadStream(file, { highWaterMark: 256 * 1024 })
        .on("error", () => response.destroy())
        .pipe(response);
    } else response.writeHead(404, HEADERS).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    urlOf(path) {
      if (!files.includes(path)) files.push(path);
      return `/files/${files.indexOf(path)}`;
    },
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}
