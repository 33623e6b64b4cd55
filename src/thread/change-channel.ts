/** What a worker did. That it collected garbage is nothing a page need be told. */
export type Change = "write" | "delete" | "repair" | "collect";

/** Where workers tell every tab that store paths came or went. */
export function changeChannel(storeName: string): BroadcastChannel {
  return new BroadcastChannel(`tvix-store-web:${storeName}:change`);
}
