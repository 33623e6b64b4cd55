import { rm } from "node:fs/promises";
import { type Driven, type DrivenBench, isWanted, OURS } from "./bench.ts";
import { spread } from "./measure.ts";
import { Data } from "./storage/data.ts";
import { CacheReader } from "./substitution/cache-reader.ts";
import { makeCaches } from "./substitution/caches.ts";

const CASE = "nix copy --from, the tree";
/** Contender: a server that serves the same NAR, uncompressed, from a file. */
const FILES = "static files";
/** Maximum number of rounds. A round takes Nix a minute if the disk is slow. */
const ROUNDS = 5;

/**
 * Measures how long real Nix takes to substitute from the daemon, and from a server of static
 * files, in turn.
 */
export const bench: DrivenBench = {
  runtime: "node",
  requirements: [{ case: CASE, against: FILES, times: 1.2 }],
  facts: () => [],
  async drive(options, root, report): Promise<Driven> {
    if (!isWanted(CASE, options)) return { checks: [] };
    const note = (text: string): void => report({ kind: "note", text });
    const tree = await new Data(note).tree();
    note(`the tree has ${tree.files} files, ${tree.bytes} bytes`);
    const caches = await makeCaches(root, tree.path);
    try {
      const reader = new CacheReader(caches.dir);
      const seconds = { [FILES]: [] as number[], [OURS]: [] as number[] };
      for (let round = 0; round < Math.min(options.rounds, ROUNDS); round++) {
        seconds[FILES]?.push(await reader.copy(caches.files, caches.storePath));
        seconds[OURS]?.push(await reader.copy(caches.daemon, caches.storePath));
      }
      for (const [contender, measured] of Object.entries(seconds)) {
        const row = { case: CASE, workers: 1, contender, ...spread(measured), unit: "s" } as const;
        report({ kind: "row", row });
      }
      return { checks: [] };
    } finally {
      await caches.close();
      await rm(caches.dir, { recursive: true, force: true });
    }
  },
};
