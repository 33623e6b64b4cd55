/** Content codings of answers, in order of preference. */
export const CODINGS = ["zstd", "gzip"] as const;
export type ContentCoding = (typeof CODINGS)[number] | "identity";

/**
 * Chooses the content coding of an answer by the `Accept-Encoding` header (RFC 9110, 12.5.3).
 *
 * @param isNear whether the client is on this machine. Such clients get uncompressed data unless
 *   they send `identity;q=0`: compression costs more than a loopback transfer.
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
