import { type TransferHandler, transferHandlers } from "comlink";
import { packError, type ThreadError, unpackError } from "./packed-error.ts";

interface Thrown {
  readonly value: unknown;
}

/**
 * Lets errors keep their class, code and cause on their way through Comlink. Both threads have to
 * call it.
 */
export function handleThrownErrors(): void {
  const original = transferHandlers.get("throw");
  if (!original) throw new TypeError("Comlink has no handler for thrown values");
  const handler: TransferHandler<Thrown, ThreadError> = {
    // Comlink marks thrown values with a private symbol.
    canHandle: (value): value is Thrown => original.canHandle(value),
    serialize: ({ value }) => [packError(value), []],
    deserialize: (packed) => {
      throw unpackError(packed);
    },
  };
  transferHandlers.set("throw", handler);
}
