import { createHash } from "node:crypto";
import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { utf8 } from "../../src/bytes.ts";
import { storePathFromContentAddress } from "../../src/nix/content-addressed-path.ts";
import { NarWriter } from "../../src/nix/nar-writer.ts";
import { formatStorePath } from "../../src/nix/store-path.ts";
import { Random, randomBytes } from "./random.ts";

/** A tree to import into a browser's store. It only depends on a shape and a seed. */
export type TreeNode =
  | { readonly kind: "directory"; readonly entries: readonly (readonly [name: string, node: TreeNode])[] }
  | { readonly kind: "file"; readonly size: number; readonly seed: number; readonly executable: boolean }
  | { readonly kind: "symlink"; readonly target: string };

/**
 * Shape of a tree. `tiny`: one file; `few`: some entries of each kind; `many`: hundreds of small
 * files; `blobs`: some files of up to 2 MiB; `large`: one file of 10 to 50 MiB.
 */
export type Shape = "tiny" | "few" | "many" | "blobs" | "large";

export interface KnownPath {
  readonly storePath: string;
  /** NAR hash, in SRI form. */
  readonly narHash: string;
  readonly narSize: number;
  /** Absolute store paths, without the path itself. */
  readonly references: readonly string[];
}

const MiB = 1024 * 1024;

export function makeTree(shape: Shape, seed: number): TreeNode {
  const random = new Random(seed);
  const own = (size: number): TreeNode => ({ kind: "file", size, seed: random.whole(1, 2 ** 31), executable: random.chance(0.1) });
  // Content that other trees have too: when one of these trees is deleted, the others must keep it.
  const shared = (largest: number): TreeNode => {
    const content = random.whole(1, 150);
    return { kind: "file", size: new Random(content).whole(0, largest), seed: content, executable: false };
  };
  switch (shape) {
    case "tiny":
      return own(random.whole(0, 2000));
    case "few":
      return directory([
        ["bin", directory([["run", own(random.whole(1, 20_000))]])],
        ["empty", directory([])],
        ["link", { kind: "symlink", target: "bin/run" }],
        ["share", directory(Array.from({ length: 6 }, (_, i) => [`doc-${i}`, shared(30_000)]))],
      ]);
    case "many": {
      const directories = random.whole(5, 30);
      const files = random.whole(10, 40);
      return directory(
        Array.from({ length: directories }, (_, d) => [
          `d${d}`,
          directory(
            Array.from({ length: files }, (_, f) => [`f${f}`, random.chance(0.3) ? shared(4000) : own(random.whole(0, 4000))]),
          ),
        ]),
      );
    }
    case "blobs":
      return directory(
        Array.from({ length: random.whole(2, 6) }, (_, i) => [
          `blob-${i}`,
          random.chance(0.3) ? shared(MiB) : own(random.whole(100_000, 2 * MiB)),
        ]),
      );
    case "large":
      return directory([
        ["large", own(random.whole(10 * MiB, 50 * MiB))],
        ["small", shared(10_000)],
      ]);
  }
}

function directory(entries: readonly (readonly [string, TreeNode])[]): TreeNode {
  return { kind: "directory", entries: [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)) };
}

function content({ size, seed }: { size: number; seed: number }): Uint8Array<ArrayBuffer> {
  return randomBytes(size, seed);
}

export function narOf(tree: TreeNode): Buffer<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const writer = new NarWriter((bytes) => parts.push(bytes));
  const write = (node: TreeNode): void => {
    if (node.kind === "symlink") {
      writer.symlink(utf8(node.target));
    } else if (node.kind === "file") {
      writer.file(node.size, node.executable);
      writer.content(content(node));
      writer.endFile();
    } else {
      writer.directory();
      for (const [name, child] of node.entries) {
        writer.entry(utf8(name));
        write(child);
      }
      writer.leave();
    }
  };
  write(tree);
  writer.end();
  return Buffer.concat(parts);
}

const BLOCK = 512;

/**
 * Creates a ustar archive.
 *
 * @param name name of the only entry at the top
 */
export function tarOf(tree: TreeNode, name: string): Buffer<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const write = (path: string, node: TreeNode): void => {
    const size = node.kind === "file" ? node.size : 0;
    const header = Buffer.alloc(BLOCK);
    header.write(node.kind === "directory" ? `${path}/` : path, 0);
    header.write(node.kind === "directory" || (node.kind === "file" && node.executable) ? "0000755\0" : "0000644\0", 100);
    header.write("0000000\0".repeat(2), 108);
    header.write(`${size.toString(8).padStart(11, "0")}\0${"0".repeat(11)}\0`, 124);
    header.write({ file: "0", symlink: "2", directory: "5" }[node.kind], 156);
    if (node.kind === "symlink") header.write(node.target, 157);
    header.write("ustar\x0000", 257);
    // The checksum counts its own field as blanks.
    header.fill(" ", 148, 156);
    const sum = header.reduce((total, byte) => total + byte, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(header);
    if (node.kind === "file") parts.push(content(node), Buffer.alloc(-size & (BLOCK - 1)));
    if (node.kind === "directory") for (const [child, under] of node.entries) write(`${path}/${child}`, under);
  };
  write(name, tree);
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

/** Calculates the store path of a NAR without references, as `nix-store --add` does. */
export async function knownPath(name: string, nar: Uint8Array): Promise<KnownPath> {
  const digest = createHash("sha256").update(nar).digest();
  const path = await storePathFromContentAddress(name, {
    method: "nar",
    hash: { algorithm: "sha256", digest: new Uint8Array(digest) },
  });
  return {
    storePath: formatStorePath(path),
    narHash: `sha256-${digest.toString("base64")}`,
    narSize: nar.length,
    references: [],
  };
}

export async function writeTree(path: string, node: TreeNode): Promise<void> {
  if (node.kind === "symlink") {
    await symlink(node.target, path);
  } else if (node.kind === "file") {
    await writeFile(path, content(node));
    if (node.executable) await chmod(path, 0o755);
  } else {
    await mkdir(path);
    for (const [name, child] of node.entries) await writeTree(join(path, name), child);
  }
}
