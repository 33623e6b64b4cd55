/**
 * Whether a worker gives no answer to `ping` in `steps` waits of `step` milliseconds. Several waits and not one long one: while a page is
 * frozen, time goes by and nobody can answer.
 *
 * @param ended rejects the wait, with its reason
 */
export async function isSilent(ping: () => Promise<unknown>, step: number, steps: number, ended: AbortSignal): Promise<boolean> {
  let answered = false;
  const answer = (): void => {
    answered = true;
  };
  // An error is an answer.
  ping().then(answer, answer);
  for (let i = 0; i < steps && !answered; i++) await pause(step, ended);
  return !answered;
}

/** @param ended rejects the wait, with its reason */
export function pause(milliseconds: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(ended.reason);
    };
    const timer = setTimeout(() => {
      ended.removeEventListener("abort", onAbort);
      resolve();
    }, milliseconds);
    if (ended.aborted) onAbort();
    else ended.addEventListener("abort", onAbort, { once: true });
  });
}
