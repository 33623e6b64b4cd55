import type { Target } from "../target.ts";
import { archives } from "./archives.ts";
import { decompressors } from "./compression.ts";
import { httpTexts } from "./http-texts.ts";
import { messages } from "./messages.ts";
import { narios } from "./narios.ts";
import { nixTexts } from "./nix-texts.ts";
import { proofs } from "./proofs.ts";
import { Samples } from "./samples.ts";

/**
 * Returns a target for each parser of outside data.
 *
 * @param root root of the repository
 */
export async function allTargets(root: string): Promise<Target[]> {
  const samples = new Samples(root);
  return [
    ...nixTexts(samples),
    ...httpTexts(),
    ...archives(samples),
    ...narios(samples),
    ...messages(),
    ...(await proofs()),
    ...decompressors(samples),
  ];
}
