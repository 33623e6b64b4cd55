import type { Action, Kind } from "./operation.ts";
import type { Random } from "./random.ts";
import type { Shape } from "./tree.ts";
import type { World } from "./world.ts";

/**
 * When to kill: in the middle of an operation, shortly before its expected acknowledgement, or
 * shortly after its end.
 */
export type Moment =
  | { readonly kind: "within"; readonly fraction: number }
  | { readonly kind: "before-end"; readonly milliseconds: number }
  | { readonly kind: "after-end"; readonly milliseconds: number };

export interface Lane {
  readonly tab: number;
  readonly actions: readonly Action[];
}

export interface Plan {
  readonly lanes: readonly Lane[];
  /** Index of the operation in the first lane to which `moment` refers. */
  readonly target: number;
  readonly moment: Moment;
}

const MiB = 1024 * 1024;
/**
 * Size of all NARs in the store, in bytes, from which on there are more deletions than imports.
 * Every check renders all of them.
 */
const FULL = 120 * MiB;

/**
 * Weights of the operations to aim at. Deletions and collections are short, so they get high
 * weights, to be hit often enough.
 */
const TARGETS: Readonly<Record<Kind, number>> = { import: 35, pull: 25, delete: 15, collect: 25 };
const STEPS = 4;
const SHAPES: Readonly<Record<Shape, number>> = { tiny: 15, few: 20, many: 30, blobs: 20, large: 15 };

/**
 * Plans a round.
 *
 * @param present store paths that the store has now
 */
export async function makePlan(random: Random, world: World, present: ReadonlySet<string>): Promise<Plan> {
  const pattern = random.weighted({ one: 40, lanes: 30, tabs: 30 });
  const target = random.chance(0.3) ? 1 : 0;
  const aim = random.weighted(TARGETS);
  const lanes: Lane[] = [];
  for (let lane = 0; lane < (pattern === "one" ? 1 : 2); lane++) {
    const actions: Action[] = [];
    for (let step = 0; step < STEPS; step++) {
      let kind: Kind = random.weighted({ ...TARGETS, delete: world.sizeOf(present) > FULL ? 60 : TARGETS.delete });
      if (lane === 0 && step === target) kind = aim;
      // A deletion takes milliseconds, so a kill may come too late. Then it should hit the next
      // deletion.
      else if (lane === 0 && step > target && aim === "delete") kind = "delete";
      // Create garbage for the collection.
      else if (lane === 0 && step === target - 1 && aim === "collect") kind = "delete";
      actions.push(await makeAction(kind, random, world, present, actions));
    }
    lanes.push({ tab: pattern === "tabs" ? lane : 0, actions });
  }
  return { lanes, target, moment: makeMoment(random) };
}

async function makeAction(
  kind: Kind,
  random: Random,
  world: World,
  present: ReadonlySet<string>,
  earlier: readonly Action[],
): Promise<Action> {
  switch (kind) {
    case "import": {
      const full = world.sizeOf(present) > FULL;
      return world.import(random, random.weighted({ ...SHAPES, large: full ? 0 : SHAPES.large }), random.pick(["nar", "tar"]));
    }
    case "pull": {
      const absent = world.roots.filter(({ storePath }) => !present.has(storePath));
      return world.pull(random.pick(absent.length > 0 && random.chance(0.8) ? absent : world.roots));
    }
    case "delete": {
      // Sometimes delete a path that this lane imports, or one that doesn't exist.
      const brought = earlier.flatMap((action) => (action.kind === "import" ? [action.storePath] : []));
      if (brought.length > 0 && random.chance(0.3)) return { kind, storePath: random.pick(brought) };
      // Delete large paths first, so that there is space to reclaim.
      const candidates = [...present].sort((a, b) => world.sizeOf([b]) - world.sizeOf([a]));
      const some = candidates.slice(0, random.chance(0.5) ? 4 : candidates.length);
      return { kind, storePath: some.length > 0 ? random.pick(some) : random.pick(world.roots).storePath };
    }
    case "collect":
      return { kind };
  }
}

function makeMoment(random: Random): Moment {
  const kind = random.weighted({ within: 70, "before-end": 18, "after-end": 12 });
  return kind === "within" ? { kind, fraction: random.fraction() } : { kind, milliseconds: random.fraction() * 100 };
}
