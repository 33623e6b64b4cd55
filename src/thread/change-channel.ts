/** What a worker did. Of what it collected as garbage only other workers need to know. */
export type Change = "write" | "delete" | "repair" | "collect";

/** Where workers tell every tab that store paths came or went. */
export function changeChannel(storeName: string): BroadcastChannel {
  return new BroadcastChannel(`tvix-store-web:${storeName}:change`);
}
