import { connectCacheCastore } from "../../backends/cache-castore.ts";
import { isStoreError } from "../../error.ts";
import { formatPublicKey, type PublicKey, parsePublicKeys } from "../../nix/key.ts";
import { BinaryCache } from "../../store/binary-cache.ts";
import { UsageError } from "../usage-error.ts";
import { type AddressText, decodePercent, parsePrefixedUrl } from "./address-text.ts";
import type { Backend } from "./backend.ts";

/** A Nix binary cache. `url` has no `nix+` prefix. */
export interface NixCacheAddress {
  readonly scheme: "nix+http" | "nix+https";
  readonly url: string;
  readonly trustedPublicKeys: readonly PublicKey[];
  /** Whether one of the keys must have signed a path that is not content-addressed. */
  readonly requireSignatures: boolean;
}

export const nixCacheBackend: Backend<NixCacheAddress, "substitutes"> = {
  schemes: ["nix+http", "nix+https"],
  capabilities: ["substitutes"],
  help: {
    form: "nix+https://HOST/PATH?trusted-public-keys=KEY%20KEY",
    text:
      "a Nix binary cache, only for path infos: each requested path is imported into the other two services. " +
      "With require-sigs=false, unsigned paths are accepted too. Also nix+http:",
  },
  parse: parseNixCache,
  format({ url, trustedPublicKeys, requireSignatures }) {
    const parameters: string[] = [];
    const keys = trustedPublicKeys.map(formatPublicKey).sort().map(encodeURIComponent);
    if (keys.length > 0) parameters.push(`${KEYS_PARAMETER}=${keys.join("%20")}`);
    if (!requireSignatures) parameters.push(`${SIGNATURES_PARAMETER}=false`);
    return `nix+${url}${parameters.length > 0 ? "?" : ""}${parameters.join("&")}`;
  },
  /** Sends no request. */
  async open({ url, trustedPublicKeys, requireSignatures }, engine) {
    const trust = requireSignatures ? { keys: trustedPublicKeys } : "all";
    return { substitutes: { cache: new BinaryCache(url), castore: connectCacheCastore(url, engine), trust } };
  },
  // The daemon doesn't speak TLS, so an address with TLS is another server.
  endpoint: ({ scheme, url }) => (scheme === "nix+https" ? undefined : { url }),
};

/** Names of Nix's settings, which Nix accepts as parameters of a store URL. */
const KEYS_PARAMETER = "trusted-public-keys";
const SIGNATURES_PARAMETER = "require-sigs";

/**
 * Separator of keys: blanks or commas. A plus stands for a blank in a query, but Base64 uses it
 * too, so it only separates after the `=` that ends a key.
 */
const BETWEEN_KEYS = /[\s,]+|(?<==)\+/;

function parseNixCache(address: AddressText<NixCacheAddress["scheme"]>): NixCacheAddress {
  const { text, scheme } = address;
  const url = parsePrefixedUrl(address, "nix+");
  if (!url) throw new UsageError(`the address ${text} is not ${scheme}://HOST/PATH?${KEYS_PARAMETER}=KEY`);
  const keys: string[] = [];
  let requireSignatures = true;
  for (const parameter of url.search.slice(1).split("&")) {
    const [name = "", ...parts] = parameter.split("=");
    const value = decodePercent(text, parts.join("="));
    if (name === KEYS_PARAMETER) keys.push(...value.split(BETWEEN_KEYS).filter((key) => key !== ""));
    else if (name === SIGNATURES_PARAMETER && (value === "true" || value === "false")) requireSignatures = value === "true";
    else if (parameter !== "")
      throw new UsageError(`the address ${text} has ${JSON.stringify(parameter)}, which is not a known parameter`);
  }
  url.search = "";
  try {
    return { scheme, url: url.href.replace(/\/$/, ""), trustedPublicKeys: parsePublicKeys(keys), requireSignatures };
  } catch (error) {
    if (isStoreError(error, "invalid")) throw new UsageError(`the address ${text}: ${error.message}`);
    throw error;
  }
}
