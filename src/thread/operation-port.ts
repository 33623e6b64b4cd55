import { onAbort } from "../on-abort.ts";
import type { OperationOptions, Progress } from "../progress.ts";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";

/**
 * Carries an abort and progress between threads, over one MessagePort for each operation. Comlink
 * can carry neither an AbortSignal nor a progress callback.
 */
type ToWorker = { abort: ThreadError };
type ToCaller = Progress | "finished";

/** Milliseconds between two reports. More frequent reports would exceed the screen's frame rate. */
const REPORT_INTERVAL = 33;

export interface OperationPort {
  /** The worker's end; pass it along with the call. */
  readonly port: MessagePort;
  /**
   * Resolves once the caller has received the last report. The call's result travels separately and
   * may arrive first, so a successful call waits for this promise. It never rejects. If the worker
   * is gone, it never resolves.
   */
  readonly reported: Promise<void>;
  /** Stops reports. Must be called when the call has settled. */
  finish(): void;
}

/** Creates the caller's side. */
export function operationPort({ signal, onProgress }: OperationOptions): OperationPort {
  const { port1, port2 } = new MessageChannel();
  const unlink = onAbort(signal, () => port1.postMessage({ abort: packError(signal?.reason) } satisfies ToWorker));
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
      unlink();
      port1.close();
    },
  };
}

/**
 * Creates the worker's side. It drops reports that come too fast, but always sends the first and
 * the last one of each phase.
 */
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
