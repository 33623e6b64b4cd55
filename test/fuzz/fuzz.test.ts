import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/error.ts";
import { makeInput } from "./mutator.ts";
import { takeInputs } from "./take-inputs.ts";
import type { Target } from "./target.ts";
import { allTargets } from "./targets/all.ts";

const targets = await allTargets(join(import.meta.dirname, "../.."));
/** Inputs for each parser. `npm run fuzz` takes many more. */
const INPUTS = 300;

describe.each(targets)("$name", (target) => {
  test(`${INPUTS} inputs that are nearly right are accepted or refused, and nothing else`, async () => {
    const taken = { accepted: 0, refused: 0 };
    const failure = await takeInputs(target, { seed: 7, from: 0, to: INPUTS }, taken);
    expect(failure).toBeUndefined();
    expect(taken.accepted + taken.refused).toBe(INPUTS);
    expect(taken.accepted).toBeGreaterThan(0);
    expect(taken.refused > 0).toBe(!target.takesAll);
  });
});

describe("a parser that", () => {
  const parser = (run: Target["run"]): Target => ({ name: "bad", samples: [new Uint8Array(9)], run });
  const span = { seed: 1, from: 0, to: 50 };

  test.each<[string, Target["run"]]>([
    ["throws an error that is none of ours", () => JSON.parse("{")],
    [
      "refuses with a code that it has not declared",
      () => {
        throw new StoreError("internal", "oops");
      },
    ],
    ["rejects", async () => Promise.reject(new RangeError("oops"))],
  ])("%s fails", async (_, run) => {
    expect(await takeInputs(parser(run), span, { accepted: 0, refused: 0 })).toMatchObject({ index: 0 });
  });

  test("is given the same inputs again for the same seed", () => {
    const [target] = targets;
    const inputs = (seed: number) => Array.from({ length: 20 }, (_, i) => makeInput(target!, seed, i).input);
    expect(inputs(1)).toEqual(inputs(1));
    expect(inputs(1)).not.toEqual(inputs(2));
  });
});
