/**
 * Which names the services have. tvix's and its successor snix's messages differ in names alone, so all conversions are written once,
 * over what their generated types have in common.
 *
 * A family does not tell how directory sizes are counted: tvix has doubled them under its own names since 2024-08.
 */
export type WireFamily = "tvix" | "snix";
