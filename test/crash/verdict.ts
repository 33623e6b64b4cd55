import { KINDS, type Kind } from "./operation.ts";

export interface Tally {
  kills: number;
  /** Kills that hit at least one running operation. */
  hits: number;
  /** Kills that hit at least one running operation of this kind. */
  hitsByKind: Record<Kind, number>;
  operations: number;
  acknowledged: number;
  losses: number;
}

export function emptyTally(): Tally {
  return {
    kills: 0,
    hits: 0,
    hitsByKind: { import: 0, pull: 0, delete: 0, collect: 0 },
    operations: 0,
    acknowledged: 0,
    losses: 0,
  };
}

export function sumOf(tallies: readonly Tally[]): Tally {
  const sum = emptyTally();
  for (const tally of tallies) {
    for (const key of ["kills", "hits", "operations", "acknowledged", "losses"] as const) sum[key] += tally[key];
    for (const kind of KINDS) sum.hitsByKind[kind] += tally.hitsByKind[kind];
  }
  return sum;
}

/** Number of kills from which on each kind of operation must have been hit at least once. */
const ENOUGH_FOR_ALL_KINDS = 50;

/**
 * Returns the reasons why a run without losses would prove nothing; none if it is valid.
 *
 * @param asked requested number of kills
 */
export function vacuity(tally: Tally, asked: number): string[] {
  const reasons: string[] = [];
  if (tally.kills < asked) reasons.push(`only ${tally.kills} of ${asked} kills`);
  if (tally.hits * 3 < tally.kills) reasons.push(`only ${tally.hits} of ${tally.kills} kills hit an operation under way`);
  if (tally.acknowledged === 0) reasons.push("nothing was acknowledged");
  const missed = KINDS.filter((kind) => tally.hitsByKind[kind] === 0);
  if (tally.kills >= ENOUGH_FOR_ALL_KINDS && missed.length > 0) reasons.push(`no kill hit any of: ${missed.join(", ")}`);
  return reasons;
}

export function summary({ kills, operations, acknowledged, losses }: Tally): string {
  return `kills: ${kills}, operations: ${operations}, acknowledged: ${acknowledged}, losses: ${losses}`;
}
