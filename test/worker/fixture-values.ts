/** Decodes the fixtures of stores that earlier versions wrote. */
import { fromBase64 } from "../../src/bytes.ts";
import { V1_LONG } from "./trees.ts";

/** Decodes a value that `plain` of fixture-values.mjs encoded. */
export function revived(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revived);
  if (typeof value !== "object" || value === null) return value;
  if ("bigint" in value) return BigInt(String(value.bigint));
  if ("bytes" in value) return fromBase64(String(value.bytes));
  if ("long" in value) {
    const [offset, length] = value.long as [number, number];
    return V1_LONG.slice(offset, offset + length);
  }
  if (!("object" in value)) throw new Error("the fixture has something unknown");
  return Object.fromEntries(Object.entries(value.object as object).map(([key, each]) => [key, revived(each)]));
}
