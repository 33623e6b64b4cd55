/**
 * What a worker changed in a store. Pages ignore `collect`, a garbage collection. `evicted` means
 * that the browser has deleted the store with this id and all its content.
 */
export type Change = "write" | "delete" | "repair" | "collect" | { readonly evicted: string };

/** Opens the channel on which workers tell every tab about added and deleted store paths. */
export function changeChannel(storeName: string): BroadcastChannel {
  return new BroadcastChannel(`tvix-store-web:${storeName}:change`);
}
