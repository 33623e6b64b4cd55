import { createContextKey, type Interceptor } from "@connectrpc/connect";
import { StoreError } from "../error.ts";
import { toConnectError } from "../wire/status.ts";

export type Permission = "read" | "write";

/** The permissions of the client that sent a request. */
export class Caller {
  readonly #permissions: ReadonlySet<Permission>;
  readonly #reason: string;

  /** @param reason message of the error that refuses a call */
  constructor(permissions: Iterable<Permission>, reason = "") {
    this.#permissions = new Set(permissions);
    this.#reason = reason;
  }

  may(permission: Permission): boolean {
    return this.#permissions.has(permission);
  }

  /** @throws StoreError `denied` if the caller lacks the permission */
  require(permission: Permission): void {
    if (!this.may(permission)) throw new StoreError("denied", this.#reason);
  }
}

/** A caller that may do everything. */
export const ANYONE: Caller = new Caller(["read", "write"]);

/** The caller of an RPC call. */
export const CALLER = createContextKey<Caller>(ANYONE);

/**
 * Refuses calls that the caller may not make, before anything is read or calculated for them. Every
 * method that changes the store is called `Put`.
 */
export const checkPermission: Interceptor = (next) => async (request) => {
  try {
    request.contextValues.get(CALLER).require(request.method.name === "Put" ? "write" : "read");
  } catch (error) {
    throw toConnectError(error);
  }
  return next(request);
};
