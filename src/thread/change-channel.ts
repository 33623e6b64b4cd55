/**
 * What a worker did; that it collected garbage is nothing a page need be told. Or that the browser has deleted the store with this id,
 * with all that was in it.
 */
export type Change = "write" | "delete" | "repair" | "collect" | { readonly evicted: string };

/** Where workers tell every tab that store paths came or went. */
export function changeChannel(storeName: string): BroadcastChannel {
  return new BroadcastChannel(`tvix-store-web:${storeName}:change`);
}
