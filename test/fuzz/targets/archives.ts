import { concatBytes, utf8 } from "../../../src/bytes.ts";
import type { BlobService } from "../../../src/castore/blob-service.ts";
import { BlobUploader } from "../../../src/castore/blob-uploader.ts";
import { EMPTY_DIGEST } from "../../../src/castore/digest.ts";
import { type Directory, SIZE_RULES } from "../../../src/castore/directory.ts";
import { directoryDigest } from "../../../src/castore/directory-codec.ts";
import { type IngestionEntry, ingestEntries } from "../../../src/castore/ingest.ts";
import { narEntries } from "../../../src/castore/nar-entries.ts";
import { checkNode } from "../../../src/castore/node.ts";
import type { CastoreServices } from "../../../src/castore/services.ts";
import { tarEntries } from "../../../src/castore/tar-entries.ts";
import { TarParser } from "../../../src/castore/tar-parser.ts";
import { listNar, narListingToJson } from "../../../src/nix/nar-listing.ts";
import { NarParser } from "../../../src/nix/nar-parser.ts";
import { NarWriter } from "../../../src/nix/nar-writer.ts";
import { ReferenceScanner } from "../../../src/nix/reference-scanner.ts";
import { arriving, Broken, expectEqual, inPieces, type Target } from "../target.ts";
import type { Samples } from "./samples.ts";
import { tarSamples } from "./tar-samples.ts";

/** Pieces of zeros after which the tar test stops reading. */
const ENOUGH_HOLES = 16;

const HASH_PARTS = ["1hryix9h2wg9adnmdq32a04c7kqxxh01", "0".repeat(32), "z0".repeat(16), "0z".repeat(16)];

export function archives(samples: Samples): Target[] {
  const nars = samples.files(/\.nar$/);
  const narWords = ["(", ")", "type", "regular", "directory", "symlink", "entry", "name", "node", "contents", "executable"].map(
    token,
  );
  const tars = [...tarSamples(), ...samples.files(/^test\/castore\/archives\/.*\.tar$/, 5000)];
  const tarWords = [
    "ustar\0",
    "././@LongLink\0",
    "../",
    "/",
    "12 path=a\n",
    "22 GNU.sparse.major=1\n",
    "26 GNU.sparse.map=0,1,6,1\n",
    "22 GNU.sparse.size=64\n",
    "20 path=tree/\0nul/x\n",
    "ustar  \0",
    "tree/run",
    "000000000000\0",
    "777777777777\0",
  ];
  return [
    {
      name: "NAR",
      samples: nars,
      words: narWords,
      run(input, random) {
        const written: Uint8Array[] = [];
        const writer = new NarWriter((bytes) => written.push(bytes));
        const parser = new NarParser(writer);
        for (const piece of inPieces(input, random)) parser.push(piece);
        parser.end();
        writer.end();
        expectEqual(concatBytes(written), input, "written again");
      },
    },
    {
      name: "NAR listing",
      samples: nars,
      words: narWords,
      async run(input, random) {
        const listing = await listNar(arriving(input, random));
        JSON.parse(narListingToJson(listing));
      },
    },
    {
      name: "NAR import",
      samples: nars,
      words: narWords,
      async run(input, random) {
        await ingested((uploader) => narEntries(arriving(input, random), uploader));
      },
    },
    {
      name: "tar",
      samples: tars,
      words: tarWords,
      run(input, random) {
        let left = 0;
        const parser = new TarParser({
          entry({ size }) {
            left = size;
          },
          content(bytes) {
            left -= bytes.length;
          },
          end() {
            if (left !== 0) throw new Broken(`content that ends with ${left} bytes missing`);
          },
        });
        for (const piece of inPieces(summed(input, random.chance(0.8)), random)) {
          let taken = 0;
          for (const _ of parser.push(piece)) if (++taken > ENOUGH_HOLES) return;
        }
        parser.end();
      },
    },
    {
      name: "tar import",
      inputs: { count: 200_000, why: "each hashes the directories of a tree; the parser by itself takes a million" },
      samples: tars,
      words: tarWords,
      async run(input, random) {
        await ingested((uploader) => tarEntries(arriving(summed(input, random.chance(0.8)), random), uploader));
      },
    },
    {
      name: "reference scan",
      takesAll: true,
      samples: [...nars.slice(0, 4), ...HASH_PARTS.map((part) => utf8(`xx${part}/bin ${part.slice(0, 31)}`))],
      words: [...HASH_PARTS, HASH_PARTS[0]!.slice(0, 20), HASH_PARTS[0]!.slice(20)],
      run(input, random) {
        const scanner = new ReferenceScanner(HASH_PARTS);
        for (const piece of inPieces(input, random)) scanner.push(piece);
        const text = Buffer.from(input).toString("latin1");
        const expected = HASH_PARTS.filter((part) => text.includes(part));
        expectEqual([...scanner.found].sort(), expected.sort(), "references");
      },
    },
  ];
}

/** Formats a token of a NAR as text. The texts here are too short to need a second length byte. */
function token(text: string): string {
  const length = String.fromCharCode(text.length) + "\0".repeat(7);
  return `${length}${text}${"\0".repeat((8 - (text.length % 8)) % 8)}`;
}

/** Services that store nothing: only the tree is checked. */
const NOWHERE: CastoreServices = {
  blobs: {
    async stat(digests) {
      return digests.map(() => undefined);
    },
    async open() {
      return undefined;
    },
    async readMany(digests) {
      return digests.map(() => undefined);
    },
    async create() {
      let size = 0;
      return {
        async write(bytes) {
          size += bytes.length;
        },
        async close() {
          return { digest: EMPTY_DIGEST, size };
        },
        async abort() {},
      };
    },
    async putMany(blobs) {
      return blobs.map(() => EMPTY_DIGEST);
    },
  } satisfies BlobService,
  directories: {
    async get() {
      return undefined;
    },
    async getClosure() {
      return undefined;
    },
    async put(directories) {
      let last: Directory | undefined;
      for await (const directory of directories) last = directory;
      if (!last) throw new Broken("an import put no directories");
      return directoryDigest(last);
    },
    async sizeRules() {
      return SIZE_RULES;
    },
  },
};

async function ingested(entries: (uploader: BlobUploader) => AsyncIterable<IngestionEntry[]>): Promise<void> {
  const uploader = new BlobUploader(NOWHERE.blobs);
  checkNode((await ingestEntries(NOWHERE, uploader, entries(uploader))).node);
}

/**
 * Corrects the checksums in the headers of an archive. Otherwise almost every change would be
 * refused at the first checksum.
 */
function summed(archive: Uint8Array, right: boolean): Uint8Array {
  if (!right) return archive;
  const bytes = archive.slice();
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const block = bytes.subarray(at, at + 512);
    if (String.fromCharCode(...block.subarray(257, 262)) !== "ustar") continue;
    block.fill(0x20, 148, 156);
    const sum = block.reduce((total, byte) => total + byte, 0);
    block.set(utf8(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  }
  return bytes;
}
