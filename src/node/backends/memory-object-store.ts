import { MemoryObjectStore } from "../../backends/memory-objects.ts";
import { objectCastore } from "../objects/object-castore.ts";
import { UsageError } from "../usage-error.ts";
import type { Backend } from "./backend.ts";

/** Objects in memory, in the layout of snix. */
export interface MemoryObjectStoreAddress {
  readonly scheme: "objectstore+memory";
}

export const memoryObjectStoreBackend: Backend<MemoryObjectStoreAddress, "blobs" | "directories"> = {
  schemes: ["objectstore+memory"],
  capabilities: ["blobs", "directories"],
  help: { form: "objectstore+memory:", text: "the same objects in memory, which are lost when the program ends" },
  parse({ text, scheme, rest }) {
    if (!["", "//", "///"].includes(rest))
      throw new UsageError(`the address ${text} has text after the colon; write objectstore+memory:`);
    return { scheme };
  },
  format: ({ scheme }) => `${scheme}:`,
  open: async (_, engine) => objectCastore("objectstore+memory:", new MemoryObjectStore(), engine),
};
