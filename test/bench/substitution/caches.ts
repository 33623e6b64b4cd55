import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nix, nixLine, removeNixStore } from "../../setup/tools.ts";
import { builtCommand, listening } from "../listening.ts";

export interface Caches {
  /** Temporary directory. The caller must delete it. */
  readonly dir: string;
  readonly storePath: string;
  /** URLs of the two caches. */
  readonly files: string;
  readonly daemon: string;
  close(): Promise<void>;
}

/**
 * Puts `tree` as one store path into two caches: a directory of files behind a static file server,
 * and the built daemon. Each server is a separate process.
 */
export async function makeCaches(root: string, tree: string): Promise<Caches> {
  const main = await builtCommand(root);
  const dir = await mkdtemp(join(tmpdir(), "tvix-bench-substitution-"));
  const source = join(dir, "source");
  const storePath = await nixLine(["nix-store", "--add", tree], { dir: source });
  const cache = join(dir, "cache");
  await nix(["nix", "copy", "--to", `file://${cache}?compression=none`, storePath], { dir: source });
  await removeNixStore(source);
  const files = await listening(["--input-type=module", "--eval", FILE_SERVER, cache]);
  const daemon = await listening([main, "daemon", "-l", "127.0.0.1:0", "--data-dir", join(dir, "data"), "--preload", cache]);
  return {
    dir,
    storePath,
    files: files.address,
    daemon: daemon.address,
    async close() {
      await files.stop();
      await daemon.stop();
    },
  };
}

/** A minimal file server. */
const FILE_SERVER = `
import { createReadStream, statSync } from "node:fs";
import { createServer } from "node:http";
import { join, normalize } from "node:path";
const server = createServer((request, answer) => {
  const path = join(process.argv[1], normalize(new URL(request.url, "http://x").pathname));
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  answer.writeHead(size === undefined ? 404 : 200, { "content-length": size ?? 0 });
  if (size === undefined || request.method === "HEAD") answer.end();
  else createReadStream(path, { highWaterMark: 1 << 20 }).pipe(answer);
});
server.listen(0, "127.0.0.1", () => console.log("listening on http://127.0.0.1:" + server.address().port));
`;
