import { isStoreError } from "../../src/error.ts";

/** Returns the code of the StoreError that `promise` rejects with. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return isStoreError(error) ? error.code : `no StoreError: ${String(error)}`;
  }
  return "none";
}
