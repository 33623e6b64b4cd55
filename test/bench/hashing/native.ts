import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Contender } from "../measure.ts";

/**
 * Bytes that one process hashes. They make its start, which takes a few milliseconds, negligible.
 */
const AT_ONCE = 512 * 1024 * 1024;

export function b3sumVersion(): string | undefined {
  const { status, stdout } = spawnSync("b3sum", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/**
 * Creates the contender that runs the native b3sum, with one thread and the SIMD instructions of
 * the processor. The file is named several times, so that the process hashes at least `AT_ONCE`
 * bytes.
 */
export function b3sum(bytes: Uint8Array, dir: string): Contender {
  writeFileSync(`${dir}/data`, bytes);
  const times = Math.ceil(AT_ONCE / bytes.length);
  const args = ["--num-threads", "1", "--no-mmap", "--no-names", ...Array<string>(times).fill("data")];
  return {
    name: "native",
    times,
    run() {
      const { status, stdout } = spawnSync("b3sum", args, { cwd: dir, encoding: "latin1" });
      if (status !== 0) throw new Error("b3sum failed");
      return new Uint8Array(Buffer.from(stdout.slice(0, 64), "hex"));
    },
  };
}
