import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Driven, type DrivenBench, isWanted, OURS } from "./bench.ts";
import { builtCommand } from "./listening.ts";
import { spread } from "./measure.ts";
import { Data } from "./storage/data.ts";
import { flushDisks, NativeStore } from "./storage/native.ts";
import { smallFiles } from "./storage/small-files.ts";
import { pathUpload, putPaths } from "./uploads/put-paths.ts";
import { daemon, plainServer, type StartServer } from "./uploads/servers.ts";
import { TinyPaths } from "./uploads/tiny-paths.ts";

const TINY = 1001;
const FILES = 20_000;
const COPY = "nix copy --to, 1,001 tiny paths";
const PUT_BY_ONE = "PUT of 1,001 tiny paths, 1 connection";
const PUT_BY_MANY = "PUT of 1,001 tiny paths, 25 connections";
const NAR = "PUT of a NAR of 20,000 small files";
/** Contender: a server that writes each PUT to a file and flushes it to disk. */
const PLAIN = "plain server, fsync";
const NATIVE = "nix-store --add";
/** Maximum number of rounds. A round takes Nix a minute if the disk is slow. */
const ROUNDS = 5;

/**
 * Measures how many seconds a client waits until its uploads to a binary cache are on disk. The
 * contenders take turns.
 */
export const bench: DrivenBench = {
  runtime: "node",
  requirements: [
    { case: COPY, against: PLAIN, times: 3 },
    { case: PUT_BY_MANY, againstCase: PUT_BY_ONE, times: 1 },
    { case: NAR, against: NATIVE, times: 2 },
  ],
  facts: () => [],
  async drive(options, root, report): Promise<Driven> {
    const dir = await mkdtemp(join(tmpdir(), "tvix-bench-uploads-"));
    const ours = daemon(dir, await builtCommand(root));
    const servers = { [PLAIN]: plainServer(dir), [OURS]: ours };
    const measure = async (name: string, contenders: Readonly<Record<string, () => Promise<number>>>): Promise<void> => {
      const seconds = new Map(Object.keys(contenders).map((contender) => [contender, [] as number[]]));
      for (let round = 0; round < Math.min(options.rounds, ROUNDS); round++) {
        for (const [contender, measured] of Object.entries(contenders)) {
          // Flush, so that no contender pays for data that another one left in the page cache.
          await flushDisks();
          seconds.get(contender)?.push(await measured());
        }
      }
      for (const [contender, runs] of seconds) {
        const row = { case: name, workers: 1, contender, ...spread(runs), unit: "s" } as const;
        report({ kind: "row", row });
      }
    };
    const onServers = (put: (address: string) => Promise<number>): Record<string, () => Promise<number>> =>
      Object.fromEntries(Object.entries(servers).map(([contender, start]) => [contender, () => withServer(start, put)]));
    try {
      const paths = await TinyPaths.make(join(dir, "tiny"), TINY);
      if (isWanted(COPY, options))
        await measure(
          COPY,
          onServers((address) => paths.copy(address)),
        );
      for (const [name, connections] of [
        [PUT_BY_ONE, 1],
        [PUT_BY_MANY, 25],
      ] as const) {
        if (isWanted(name, options))
          await measure(
            name,
            onServers((address) => putPaths(address, paths.uploads, connections)),
          );
      }
      if (isWanted(NAR, options)) {
        const data = new Data((text) => report({ kind: "note", text }));
        const folder = await data.folder(FILES);
        const upload = pathUpload(0, await readFile(await data.nar(smallFiles(FILES))));
        const native = await NativeStore.make(join(dir, "native"));
        await measure(NAR, {
          [NATIVE]: async () => (await native.add(folder)).seconds,
          [OURS]: () => withServer(ours, (address) => putPaths(address, [upload], 1)),
        });
        await native.remove();
      }
      return { checks: [] };
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  },
};

async function withServer<T>(start: StartServer, use: (address: string) => Promise<T>): Promise<T> {
  const server = await start();
  try {
    return await use(server.address);
  } finally {
    await server.stop();
  }
}
