import type { Digest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { ObjectKind } from "./object-table.ts";

/** Objects by kind and digest, as somebody sees them: everybody, or a session that writes. Nothing is verified here. */
export interface ObjectView {
  has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]>;
  /** `undefined` where one is missing. The bytes are the caller's to keep, but may be views. */
  read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]>;
}

/** A view that takes objects, too. */
export interface WritableObjects extends ObjectView {
  /** Resolves when they can be read back in this view; the buffers are the caller's again then. */
  write(objects: readonly NewObject[]): Promise<void>;
}

export interface NewObject {
  readonly kind: ObjectKind;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** For services that write nothing. */
export class ReadOnlyObjects implements WritableObjects {
  readonly has: ObjectView["has"];
  readonly read: ObjectView["read"];

  constructor(view: ObjectView) {
    this.has = (kind, digests) => view.has(kind, digests);
    this.read = (kind, digests) => view.read(kind, digests);
  }

  async write(): Promise<void> {
    throw new StoreError("internal", "objects were written outside of a session");
  }
}
