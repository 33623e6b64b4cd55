import type { Digest } from "../castore/digest.ts";
import { StoreError } from "../error.ts";
import type { ObjectKind } from "./object-table.ts";

/**
 * Read access to objects by kind and digest. A view shows the committed objects, or also the new
 * objects of one session that writes. Verifies nothing.
 */
export interface ObjectView {
  has(kind: ObjectKind, digests: readonly Digest[]): Promise<boolean[]>;
  /**
   * Reads objects; gives `undefined` for a missing one. The caller may keep the bytes, which may be
   * views.
   */
  read(kind: ObjectKind, digests: readonly Digest[]): Promise<(Uint8Array | undefined)[]>;
}

/** A view to which objects can be written. */
export interface WritableObjects extends ObjectView {
  /**
   * Writes objects. Resolves when this view can read them back; then the buffers belong to the
   * caller again.
   */
  write(objects: readonly NewObject[]): Promise<void>;
}

export interface NewObject {
  readonly kind: ObjectKind;
  readonly digest: Digest;
  readonly bytes: Uint8Array;
}

/** A view for services that write nothing. */
export class ReadOnlyObjects implements WritableObjects {
  readonly has: ObjectView["has"];
  readonly read: ObjectView["read"];

  constructor(view: ObjectView) {
    this.has = (kind, digests) => view.has(kind, digests);
    this.read = (kind, digests) => view.read(kind, digests);
  }

  async write(): Promise<void> {
    throw new StoreError("internal", "objects can only be written in a session");
  }
}
