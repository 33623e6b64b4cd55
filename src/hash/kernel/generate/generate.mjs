// The unrolled parts of the kernel. Engines keep the order of instructions. So the order is decided
// here, and no optimizer may change it afterwards (see build.mjs).
import { constants } from "./blake3.mjs";
import { lanes } from "./lanes.mjs";
import { row } from "./row.mjs";
import { scalar } from "./scalar.mjs";
import { sha256Scalar, sha256Simd } from "./sha256.mjs";

/** Returns the text of each generated file, by its path. The files exist only in the compiler. */
export function generate() {
  return {
    "assembly/constants.ts": constants(),
    "assembly/lanes.ts": `${lanes()}\n${row()}`,
    "assembly/scalar.ts": scalar(),
    "assembly/sha256-simd.ts": sha256Simd(),
    "assembly/sha256-scalar.ts": sha256Scalar(),
  };
}
