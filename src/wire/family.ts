/**
 * The package names of a peer's services. The messages of tvix and of its successor snix differ in
 * names only, so each conversion is written once, over what their generated types have in common.
 *
 * tvix's names don't tell how directory sizes count: tvix has doubled them since 2024-08.
 */
export type WireFamily = "tvix" | "snix";
