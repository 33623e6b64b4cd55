import type { OperationOptions, Progress } from "../progress.ts";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";

/** An AbortSignal and a progress callback between threads, over one MessagePort for each operation: Comlink carries neither. */
type ToWorker = { abort: ThreadError };
type ToCaller = Progress | "finished";

/** Between two reports, in milliseconds: more often than the screen is drawn, nobody sees them. */
const REPORT_INTERVAL = 33;

export interface OperationPort {
  /** Goes with the call. */
  readonly port: MessagePort;
  /**
   * Resolves when the last report has been heard. The call's answer comes another way, and may come first: a call that succeeded
   * waits for this. Never rejects, nor resolves when the worker is gone.
   */
  readonly reported: Promise<void>;
  /** Must be called when the call has settled. No report is heard afterwards. */
  finish(): void;
}

/** The caller's side. */
export function operationPort({ signal, onProgress }: OperationOptions): OperationPort {
  const { port1, port2 } = new MessageChannel();
  const onAbort = (): void => port1.postMessage({ abort: packError(signal?.reason) } satisfies ToWorker);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort);
  const reported = new Promise<void>((resolve) => {
    port1.onmessage = ({ data }: MessageEvent<ToCaller>) => {
      if (data === "finished") resolve();
      else onProgress?.(data);
    };
  });
  return {
    port: port2,
    reported,
    finish() {
      signal?.removeEventListener("abort", onAbort);
      port1.close();
    },
  };
}

/** The worker's side. Reports are thinned out, but the first and last of each phase always go through. */
export function operationOptions(port: MessagePort): Required<OperationOptions> & { signal: AbortSignal; finish(): void } {
  const controller = new AbortController();
  port.onmessage = ({ data }: MessageEvent<ToWorker>) => controller.abort(unpackError(data.abort));
  let held: Progress | undefined;
  let last: { phase: string; time: number } | undefined;
  const send = (progress: Progress): void => {
    held = undefined;
    last = { phase: progress.phase, time: performance.now() };
    port.postMessage(progress satisfies ToCaller);
  };
  return {
    signal: controller.signal,
    onProgress(progress) {
      if (held && held.phase !== progress.phase) send(held);
      if (!last || last.phase !== progress.phase || performance.now() - last.time >= REPORT_INTERVAL) send(progress);
      else held = progress;
    },
    finish() {
      if (held) send(held);
      port.postMessage("finished" satisfies ToCaller);
      // The caller closes the port.
      port.onmessage = null;
    },
  };
}
