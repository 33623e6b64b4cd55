import { StoreError } from "./error.ts";

/**
 * How long an operation waits for another machine, in milliseconds. `Infinity` means the longest
 * delay of a timer, some 24 days. A transfer that makes progress, however slow, has no limit.
 */
export interface Timeouts {
  /**
   * Time from a request to the head of its answer; 60,000 by default. Includes the time in a
   * browser's queue of requests to one host.
   */
  readonly connect?: number | undefined;
  /**
   * Time between two pieces of an answer's body; 300,000 by default, as Nix's
   * `stalled-download-timeout`.
   */
  readonly stall?: number | undefined;
}

const CONNECT = 60_000;
const STALL = 300_000;

/**
 * The longest delay of `setTimeout`, in milliseconds. A timer with a longer delay fires at once.
 */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Fills in the defaults and limits each timeout to the longest timer.
 *
 * @throws StoreError `invalid` for a timeout that is not a positive number
 */
export function checkTimeouts({ connect = CONNECT, stall = STALL }: Timeouts = {}): { connect: number; stall: number } {
  return { connect: checkTimeout("connect", connect), stall: checkTimeout("stall", stall) };
}

function checkTimeout(name: keyof Timeouts, value: unknown): number {
  if (typeof value !== "number" || !(value > 0))
    throw new StoreError("invalid", `the timeout ${name} has to be a positive number of milliseconds, not ${String(value)}`);
  return Math.min(value, MAX_DELAY);
}
