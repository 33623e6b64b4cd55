import { MemoryBudget } from "../memory-budget.ts";

/** Memory of decoders that use arrays, which the engine can free. */
export const arrayMemory = new MemoryBudget(512 * 1024 * 1024);
