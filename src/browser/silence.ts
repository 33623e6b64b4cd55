import { pause } from "../pause.ts";

/**
 * Whether a worker does not answer `ping` during `steps` waits of `step` milliseconds. Time passes
 * while a page is frozen and nobody can answer. Because there are several waits, a freeze uses up
 * only one of them.
 *
 * @param ended aborts the wait, which then rejects with the signal's reason
 */
export async function isSilent(ping: () => Promise<unknown>, step: number, steps: number, ended: AbortSignal): Promise<boolean> {
  let answered = false;
  const answer = (): void => {
    answered = true;
  };
  // An error is an answer too.
  ping().then(answer, answer);
  for (let i = 0; i < steps && !answered; i++) await pause(step, ended);
  return !answered;
}
