/** Where workers tell every tab that store paths came or went. */
export function changeChannel(storeName: string): BroadcastChannel {
  return new BroadcastChannel(`tvix-store-web:${storeName}:change`);
}
