import { decodeUtf8, toHex } from "../bytes.ts";
import type { Derivation, DerivationOutput, DerivationText } from "./derivation.ts";
import { compareTexts, formatOutputHash } from "./derivation-file.ts";

/** A derivation as `nix show-derivation` prints it, under the derivation's store path. */
export interface DerivationJson {
  readonly outputs: Readonly<
    Record<string, { readonly path?: string; readonly hashAlgo?: string; readonly hash?: string; readonly impure?: true }>
  >;
  readonly inputSrcs: readonly string[];
  readonly inputDrvs: Readonly<Record<string, readonly string[]>>;
  readonly system: string;
  readonly builder: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** What is not UTF-8 has U+FFFD in its place: JSON can't say it, and Nix prints no JSON for it at all. */
export function derivationToJson(derivation: Derivation): DerivationJson {
  const { outputs, inputDerivations, inputSources, system, builder, environment } = derivation;
  return {
    outputs: record(outputs, outputToJson),
    inputSrcs: [...inputSources].sort(compareTexts),
    inputDrvs: record(inputDerivations, (names) => [...names].sort(compareTexts)),
    system,
    builder,
    args: derivation.arguments.map(shown),
    env: record(environment, shown),
  };
}

function outputToJson(output: DerivationOutput): DerivationJson["outputs"][string] {
  const path = "path" in output && output.path !== undefined ? { path: output.path } : {};
  if (output.kind === "input-addressed") return path;
  const hashAlgo = formatOutputHash(output);
  if (output.kind === "fixed") return { ...path, hashAlgo, hash: toHex(output.digest) };
  return output.kind === "impure" ? { hashAlgo, impure: true } : { hashAlgo };
}

function shown(text: DerivationText): string {
  return typeof text === "string" ? text : decodeUtf8(text);
}

function record<V, T>(map: ReadonlyMap<string, V>, value: (found: V) => T): Record<string, T> {
  const entries = [...map].sort(([a], [b]) => compareTexts(a, b)).map(([key, found]) => [key, value(found)] as const);
  // Unlike an assignment this takes `__proto__` for a name like any other.
  return Object.fromEntries(entries);
}
