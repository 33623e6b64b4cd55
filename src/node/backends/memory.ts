import { createMemoryStore } from "../../backends/memory.ts";
import { UsageError } from "../usage-error.ts";
import type { Backend } from "./backend.ts";

export interface MemoryAddress {
  readonly scheme: "memory";
}

export const memoryBackend: Backend<MemoryAddress, "blobs" | "directories" | "pathInfos"> = {
  schemes: ["memory"],
  capabilities: ["blobs", "directories", "pathInfos"],
  help: { form: "memory:", text: "a store in memory, which is lost when the program ends" },
  parse({ text, scheme, rest }) {
    if (rest !== "" && rest !== "//") throw new UsageError(`the address ${text} has text after the colon; write memory:`);
    return { scheme };
  },
  format: ({ scheme }) => `${scheme}:`,
  open: async (_, engine) => createMemoryStore(engine),
};
