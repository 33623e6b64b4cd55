import type { ByteRange } from "../../../src/byte-range.ts";
import { concatBytes, equalBytes } from "../../../src/bytes.ts";
import { StoreError } from "../../../src/error.ts";
import { checkOutboard, decodeOutboard, encodeOutboard, outboardOf } from "../../../src/hash/outboard.ts";
import { SliceDecoder } from "../../../src/hash/slice-decoder.ts";
import { encodeSlice } from "../../../src/hash/slice-encoder.ts";
import { randomBytes } from "../../crash/random.ts";
import { Broken, inPieces, type Target } from "../target.ts";

const CONTENT = randomBytes(50_000, 1);
const RANGES: readonly ByteRange[] = [
  { offset: 0, length: 10 },
  { offset: 40_000, length: 20_000 },
  { offset: 0, length: Number.POSITIVE_INFINITY },
];

export async function proofs(): Promise<Target[]> {
  const { digest, outboard } = outboardOf(CONTENT);
  const source = {
    root: digest,
    outboard,
    async *read(offset: number, length: number): AsyncGenerator<Uint8Array> {
      yield CONTENT.subarray(offset, offset + length);
    },
  };
  const slices: Uint8Array[] = [];
  for (const range of RANGES) {
    const pieces: Uint8Array[] = [];
    for await (const piece of encodeSlice(source, range)) pieces.push(piece);
    slices.push(concatBytes(pieces));
  }
  const encoded = encodeOutboard(outboard);
  return [
    {
      name: "outboard",
      codes: ["invalid", "corrupt"],
      samples: [encoded, encodeOutboard(outboardOf(CONTENT.subarray(0, 100)).outboard)],
      run(input) {
        const decoded = decodeOutboard(input);
        if (!equalBytes(encodeOutboard(decoded), input)) throw new Broken("it is encoded differently");
        checkOutboard(decoded, digest);
        if (!equalBytes(decoded.nodes, outboard.nodes) && decoded.nodes.length > 0)
          throw new Broken("other nodes have the same digest");
      },
    },
    {
      name: "slice",
      codes: ["invalid", "corrupt"],
      samples: slices,
      run(input, random) {
        const range = random.pick(RANGES);
        const decoder = new SliceDecoder(digest, range);
        let at = range.offset;
        for (const piece of inPieces(input, random)) {
          for (const proven of decoder.push(piece)) {
            if (!equalBytes(proven, CONTENT.subarray(at, at + proven.length))) throw new Broken(`other content is proven at ${at}`);
            at += proven.length;
          }
        }
        decoder.finish();
        if (at !== Math.min(CONTENT.length, range.offset + range.length))
          throw new StoreError("internal", `a slice that is whole ends at ${at}`);
      },
    },
  ];
}
