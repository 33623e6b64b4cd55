import { type TransferHandler, transferHandlers } from "comlink";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";

interface Thrown {
  readonly value: unknown;
}

/** Lets errors keep class, code and cause on their way through Comlink, in the threads that call this: both have to. */
export function handleThrownErrors(): void {
  const original = transferHandlers.get("throw");
  if (!original) throw new TypeError("Comlink has no handler for thrown values");
  const handler: TransferHandler<Thrown, ThreadError> = {
    // Comlink marks thrown values in a way that it keeps to itself.
    canHandle: (value): value is Thrown => original.canHandle(value),
    serialize: ({ value }) => [packError(value), []],
    deserialize: (packed) => {
      throw unpackError(packed);
    },
  };
  transferHandlers.set("throw", handler);
}
