/** Content codings that answers may have, best first. */
export const CODINGS = ["zstd", "gzip"] as const;
export type ContentCoding = (typeof CODINGS)[number] | "identity";

/**
 * What an `Accept-Encoding` header (RFC 9110, 12.5.3) lets an answer be encoded with.
 *
 * @param isNear whether the client is on this machine, to which it costs more to compress than to send: then only if it refuses what is not
 */
export function chooseCoding(header: string | undefined, isNear: boolean): ContentCoding {
  const weights = new Map<string, number>();
  for (const item of (header ?? "").split(",")) {
    const [coding = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    const weight = parameters.find((parameter) => parameter.startsWith("q="));
    if (coding !== "") weights.set(coding, weight === undefined ? 1 : Number(weight.slice(2)) || 0);
  }
  const weightOf = (coding: string, otherwise: number): number => weights.get(coding) ?? weights.get("*") ?? otherwise;
  const identity = weightOf("identity", 1);
  if (isNear && identity > 0) return "identity";
  const [best] = CODINGS.filter((coding) => weightOf(coding, 0) > 0).sort((a, b) => weightOf(b, 0) - weightOf(a, 0));
  return best ?? "identity";
}
