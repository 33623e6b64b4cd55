import { digestOf } from "../../src/castore/digest.ts";
import type { Node } from "../../src/castore/node.ts";

/** Makes a generator of pseudo-random numbers. The seed makes a failure reproducible. */
export function randomNumbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Makes a valid node of any kind. */
export function randomNode(random: (below: number) => number): Node {
  const digest = digestOf(Uint8Array.of(random(256), random(256)));
  const size = [0n, 1n, 127n, 128n, 2n ** 53n, 2n ** 56n][random(6)] as bigint;
  const nodes: Node[] = [
    { kind: "directory", digest, size },
    { kind: "file", digest, size, executable: random(2) === 1 },
    { kind: "symlink", target: Uint8Array.from({ length: 1 + random(200) }, () => 1 + random(255)) },
  ];
  return nodes[random(3)] as Node;
}
