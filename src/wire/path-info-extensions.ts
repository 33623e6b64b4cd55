import { create, fromBinary, type Message, mergeFromBinary, toBinary, type UnknownField } from "@bufbuild/protobuf";
import type { GenMessage } from "@bufbuild/protobuf/codegenv2";
import { StoreError } from "../error.ts";
import { PathInfoExtensionsSchema } from "./gen/tvix_store_web/store/v1/path_info_extensions_pb.ts";

/**
 * Facts in fields of a PathInfo message that tvix and snix don't have. The protobuf library keeps
 * unknown fields of a message beside the known ones, and writes them out again.
 */
export interface PathInfoExtensions {
  /** Content address that `NARInfo.CA` has no type for. */
  readonly contentAddress?: string | undefined;
  /** Base name of a deriver that `NARInfo.deriver` can't hold. */
  readonly deriver?: string | undefined;
}

/** Adds `extensions` to `message`, which is a PathInfo of either family. */
export function addExtensions<T extends Message>(schema: GenMessage<T>, message: T, extensions: PathInfoExtensions): T {
  const { contentAddress = "", deriver = "" } = extensions;
  if (contentAddress === "" && deriver === "") return message;
  const bytes = toBinary(PathInfoExtensionsSchema, create(PathInfoExtensionsSchema, { contentAddress, deriver }));
  return mergeFromBinary(schema, message, bytes);
}

/**
 * Reads the extension fields of a message.
 *
 * @throws StoreError `invalid` if an extension field has the wrong type
 */
export function readExtensions({ $unknown }: { readonly $unknown?: UnknownField[] | undefined }): PathInfoExtensions {
  if (!$unknown || $unknown.length === 0) return {};
  const carrier = create(PathInfoExtensionsSchema);
  carrier.$unknown = $unknown;
  try {
    const { contentAddress, deriver } = fromBinary(PathInfoExtensionsSchema, toBinary(PathInfoExtensionsSchema, carrier));
    return { contentAddress: contentAddress || undefined, deriver: deriver || undefined };
  } catch (cause) {
    throw new StoreError("invalid", "an extension field of the message has the wrong type", { cause });
  }
}
