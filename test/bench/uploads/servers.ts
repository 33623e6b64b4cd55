import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Listening, listening } from "../listening.ts";

/** Starts a server without content. Its data is deleted when it stops. */
export type StartServer = () => Promise<Listening>;

/** A web server that writes each PUT to a file, and answers once the file's content is on disk. */
export function plainServer(dir: string): StartServer {
  return () => withData(dir, (data) => ["--input-type=module", "--eval", FILE_SERVER, data]);
}

/**
 * The built daemon.
 *
 * @param main path of the built command
 */
export function daemon(dir: string, main: string): StartServer {
  return () => withData(dir, (data) => [main, "daemon", "-l", "127.0.0.1:0", "--data-dir", data]);
}

async function withData(dir: string, args: (data: string) => string[]): Promise<Listening> {
  const data = await mkdtemp(join(dir, "data-"));
  const server = await listening(args(data));
  return {
    address: server.address,
    async stop() {
      await server.stop();
      await rm(data, { recursive: true, force: true });
    },
  };
}

/** A minimal server that loses no upload that it has acknowledged. */
const FILE_SERVER = `
import { createReadStream, mkdirSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, join } from "node:path";
const dir = process.argv[1];
for (const name of ["nar", "root"]) mkdirSync(join(dir, name));
const server = createServer(async (request, answer) => {
  const path = new URL(request.url, "http://x").pathname;
  const file = join(dir, path.startsWith("/nar/") ? "nar" : "root", basename(path));
  if (request.method === "PUT") {
    const handle = await open(file, "w");
    for await (const piece of request) await handle.write(piece);
    await handle.sync();
    await handle.close();
    return answer.writeHead(201).end();
  }
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  answer.writeHead(size === undefined ? 404 : 200, { "content-length": size ?? 0 });
  if (size === undefined || request.method === "HEAD") answer.end();
  else createReadStream(file).pipe(answer);
});
server.listen(0, "127.0.0.1", () => console.log("listening on http://127.0.0.1:" + server.address().port));
`;
