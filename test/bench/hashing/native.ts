import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Contender } from "../measure.ts";

/** Bytes that one process hashes, so that its start, of a few milliseconds, doesn't count. */
const AT_ONCE = 512 * 1024 * 1024;

export function b3sumVersion(): string | undefined {
  const { status, stdout } = spawnSync("b3sum", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

/** The native program over a file that is named as often as it takes, with one thread and whatever SIMD the processor has. */
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
