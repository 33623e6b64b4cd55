/**
 * The package names of a peer's services. The messages of tvix and of its successor snix differ
 * only in names. So each conversion is written once, over the common part of their generated types.
 *
 * tvix's names don't tell how directory sizes count: tvix has doubled them since 2024-08.
 */
export type WireFamily = "tvix" | "snix";
