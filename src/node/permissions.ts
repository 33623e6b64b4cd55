import { createContextKey } from "@connectrpc/connect";
import { StoreError } from "../error.ts";

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
 * Refuses a call that the caller may not make. Every method that changes the store is called `Put`.
 *
 * @throws StoreError `denied`
 */
export function checkPermission(caller: Caller, { name }: { readonly name: string }): void {
  caller.require(name === "Put" ? "write" : "read");
}
