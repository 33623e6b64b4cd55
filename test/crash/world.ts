import { execFile } from "node:child_process";
import { mkdir, readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { formatSri } from "../../src/nix/hash.ts";
import { parseNarInfo } from "../../src/nix/narinfo.ts";
import { STORE_DIR } from "../../src/nix/store-path.ts";
import { type Daemon, startDaemon } from "./daemon.ts";
import type { Action } from "./operation.ts";
import type { Random } from "./random.ts";
import { type KnownPath, knownPath, makeTree, narOf, type Shape, tarOf, writeTree } from "./tree.ts";

/**
 * Everything outside of the browser: archives to import, a daemon to pull from, and the expected
 * path infos of both.
 */
export class World {
  readonly known = new Map<string, KnownPath>();
  /** Store paths of the daemon, each with its closure. */
  readonly roots: readonly { readonly storePath: string; readonly closure: readonly string[] }[];
  readonly #daemon: Daemon;
  readonly #content: Map<string, () => Uint8Array>;
  /**
   * The last few archives, the least recently used first. Archives are large, so only some are
   * kept.
   */
  readonly #archives = new Map<string, Uint8Array>();
  readonly #imported: { shape: Shape; seed: number }[] = [];

  private constructor(daemon: Daemon, known: readonly KnownPath[], roots: World["roots"], content: Map<string, () => Uint8Array>) {
    this.#daemon = daemon;
    this.#content = content;
    this.roots = roots;
    for (const path of known) this.known.set(path.storePath, path);
  }

  /**
   * Fills the daemon's store and starts the daemon.
   *
   * @param dir directory of the daemon's store
   * @param content receives the archives to serve, by key
   */
  static async create(
    root: string,
    out: string,
    dir: string,
    seed: number,
    content: Map<string, () => Uint8Array>,
  ): Promise<World> {
    const main = join(out, "dist/node/main.js");
    const data = join(dir, "daemon");
    const trees = join(dir, "trees");
    await mkdir(trees);
    const known: KnownPath[] = [];
    for (const [i, shape] of (["few", "many", "many", "blobs", "large"] as const).entries()) {
      const tree = makeTree(shape, seed + i);
      const name = `remote-${shape}-${i}`;
      await writeTree(join(trees, name), tree);
      known.push(await knownPath(name, narOf(tree)));
    }
    const addresses = ["blob", "directory", "path-info"].map((service) => `--${service}-service-addr=file:${data}`);
    const paths = (await readdir(trees)).map((name) => join(trees, name));
    const { stdout } = await promisify(execFile)(process.execPath, [main, "import", ...addresses, ...paths]);
    const expected = known.map(({ storePath }) => storePath).sort();
    if (stdout.trim().split("\n").sort().join() !== expected.join())
      throw new Error("the daemon's store paths of the trees differ from ours");
    await rm(trees, { recursive: true });

    const roots = known.map(({ storePath }) => ({ storePath, closure: [storePath] }));
    const sample = join(root, "test/fixtures/sample");
    const sampled = await samplePaths(sample);
    const byPath = new Map(sampled.map((path) => [path.storePath, path]));
    for (const { storePath, references } of sampled) {
      if (references.length === 0) continue;
      roots.push({ storePath, closure: closureOf(storePath, byPath) });
    }
    const daemon = await startDaemon(main, data, sample);
    return new World(daemon, [...known, ...sampled], roots, content);
  }

  close(): Promise<unknown> {
    return this.#daemon.stop();
  }

  pull(root: World["roots"][number]): Action {
    return { kind: "pull", remote: this.#daemon.url, ...root };
  }

  /** Creates an import of a new tree, or sometimes of a tree that was imported before. */
  async import(random: Random, shape: Shape, format: "nar" | "tar"): Promise<Action> {
    const earlier = this.#imported.filter((tree) => tree.shape === shape).slice(-4);
    const tree = earlier.length > 0 && random.chance(0.25) ? random.pick(earlier) : { shape, seed: random.whole(1, 2 ** 31 - 1) };
    this.#imported.push(tree);
    const name = `${shape}-${tree.seed}`;
    const path = await knownPath(name, this.#archive(name, tree, "nar"));
    this.known.set(path.storePath, path);
    const key = `${name}.${format}`;
    this.#content.set(key, () => this.#archive(name, tree, format));
    return { kind: "import", format, name, url: `/content/${key}`, storePath: path.storePath };
  }

  /** Returns the size of all NARs of the store paths together, in bytes. */
  sizeOf(storePaths: Iterable<string>): number {
    let size = 0;
    for (const storePath of storePaths) size += this.known.get(storePath)?.narSize ?? 0;
    return size;
  }

  #archive(name: string, { shape, seed }: { shape: Shape; seed: number }, format: "nar" | "tar"): Uint8Array {
    const key = `${name}.${format}`;
    const tree = () => makeTree(shape, seed);
    const archive = this.#archives.get(key) ?? (format === "nar" ? narOf(tree()) : tarOf(tree(), name));
    this.#archives.delete(key);
    this.#archives.set(key, archive);
    for (const oldest of this.#archives.keys()) {
      if (this.#archives.size <= 6) break;
      this.#archives.delete(oldest);
    }
    return archive;
  }
}

/** Reads the path infos of the sample binary cache. */
async function samplePaths(dir: string): Promise<KnownPath[]> {
  const files = (await readdir(dir)).filter((name) => name.endsWith(".narinfo"));
  return Promise.all(
    files.map(async (file) => {
      const info = parseNarInfo(await readFile(join(dir, file), "utf8"));
      const { storePath, narSize } = info;
      const references = info.references.map((name) => `${STORE_DIR}/${name}`).filter((path) => path !== storePath);
      return { storePath, narHash: formatSri(info.narHash), narSize, references };
    }),
  );
}

function closureOf(root: string, paths: ReadonlyMap<string, KnownPath>): string[] {
  const closure = new Set([root]);
  // Iteration over a set also visits elements that are added meanwhile.
  for (const path of closure) for (const reference of paths.get(path)?.references ?? []) closure.add(reference);
  return [...closure];
}
