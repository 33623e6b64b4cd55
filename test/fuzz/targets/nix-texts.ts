import { decodeUtf8, equalBytes, utf8 } from "../../../src/bytes.ts";
import { StoreError } from "../../../src/error.ts";
import { formatCacheInfo, parseCacheInfo } from "../../../src/nix/cache-info.ts";
import { formatContentAddress, parseContentAddress } from "../../../src/nix/content-address.ts";
import type { Derivation } from "../../../src/nix/derivation.ts";
import { formatDerivation, parseDerivation } from "../../../src/nix/derivation-file.ts";
import { derivationFromJson, derivationsFromJson } from "../../../src/nix/derivation-from-json.ts";
import { derivationToJson, formatDerivationJson } from "../../../src/nix/derivation-json.ts";
import { fingerprint } from "../../../src/nix/fingerprint.ts";
import { formatHex, formatNix32, formatSri, parseHash } from "../../../src/nix/hash.ts";
import { formatPublicKey, formatSecretKey, parsePublicKey, parsePublicKeys, parseSecretKey } from "../../../src/nix/key.ts";
import { formatNarInfo, parseNarInfo } from "../../../src/nix/narinfo.ts";
import { decodeNixbase32, encodeNixbase32 } from "../../../src/nix/nixbase32.ts";
import {
  derivationKey,
  formatRealisation,
  hashModuloKey,
  mergeRealisations,
  parseRealisation,
} from "../../../src/nix/realisation.ts";
import { formatSignature, parseSignature, readSignature } from "../../../src/nix/signature.ts";
import { formatStorePath, parseHashPart, parseStorePath, storePathHashPart } from "../../../src/nix/store-path.ts";
import { parsePathGraph } from "../../../src/node/path-graph.ts";
import { parseEntryPath } from "../../../src/store/list.ts";
import type { PathInfo } from "../../../src/store/path-info.ts";
import { normalizePathInfo } from "../../../src/store/path-info-check.ts";
import { PATH_INFO_JSON_FORMATS, pathInfosToJson } from "../../../src/store/path-info-json.ts";
import { Broken, expectEqual, type Target } from "../target.ts";
import type { Samples } from "./samples.ts";

const HASH_PART = "1hryix9h2wg9adnmdq32a04c7kqxxh01";
const KEY = "fixtures-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

export function nixTexts(samples: Samples): Target[] {
  const narInfos = samples.files(
    /^test\/nix\/fixtures\/narinfo\/.*\.narinfo$|^test\/fixtures\/(sample|caches\/[^/]*|nix-2\.34\/cache)\/.*\.narinfo$/,
  );
  const derivations = samples.files(/^test\/nix\/(nix-2\.34\/)?derivations\/.*\.drv$/);
  const hashes = [
    "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "blake3-jkx8G5nb/VDnqVGF/q1e4USPqQSi/dd46vXy2/1impk",
    `sha256:${"ab".repeat(32)}`,
    `sha1:${"0".repeat(32)}`,
    `md5:${"0".repeat(26)}`,
  ];
  return [
    text(
      "narinfo",
      narInfos,
      ["\n", ": ", "Foo:", "Sig: ", "Sig: a:", "References: ", "CA: fixed:r:", "Deriver: ", "unknown-deriver", " "],
      (input) => {
        const info = parseNarInfo(input);
        const written = formatNarInfo(info);
        expectEqual(formatNarInfo(parseNarInfo(written)), written, "written again");
        expectEqual(parseNarInfo(written), info, "read again");
        fingerprint(info);
      },
    ),
    text(
      "nix-cache-info",
      samples.files(/nix-cache-info$/),
      ["\n", ": ", "Priority: ", "WantMassQuery: 1", "StoreDir: "],
      (input) => {
        const info = parseCacheInfo(input);
        expectEqual(parseCacheInfo(formatCacheInfo(info)), info, "read again");
      },
    ),
    {
      name: "derivation",
      samples: derivations,
      words: [
        '"',
        "\\",
        '("out","","r:sha256","")',
        "],[",
        "(",
        ")",
        ",",
        '\\"',
        "\\n",
        "impure",
        "text:sha256",
        'DrvWithVersion("xp-dyn-drv",',
        '([],[("out",',
        "])",
        '["out"]',
        "é",
        "\u{1f4be}",
      ],
      run(input) {
        const derivation = parseDerivation(input, "fuzz");
        const written = formatDerivation(derivation);
        const again = parseDerivation(written, "fuzz");
        expectEqual(formatDerivation(again), written, "written again");
        const json = derivationToJson(derivation);
        expectEqual(derivationToJson(again), json, "JSON of what was read again");
        return sameJson(derivation);
      },
    },
    text(
      "derivation JSON",
      samples.files(/show-derivation\.json$|derivation-show\.json$/, 65536).flatMap(shownDerivations),
      [
        "{",
        "}",
        "[",
        "]",
        ",",
        '"structuredAttrs":{"a":',
        '"__json":',
        '"__proto__":',
        '"\\u0000',
        "1e999",
        "-0",
        "3.0",
        "9007199254740993",
        '"version":3',
        '"impure":true',
        '"method":"git"',
        '"dynamicOutputs":{}',
        '"dynamicOutputs":{"a":{"outputs":["b"],"dynamicOutputs":',
      ],
      async (input) => {
        for (const derivation of (await derivationsFromJson(input)).values()) await sameJson(derivation);
      },
    ),
    text(
      "path graph",
      samples.files(/\.path-info$|path-info-[12]\.json$|show-derivation\.json$/),
      [
        "{",
        "}",
        "[",
        "]",
        '"path":',
        '"narHash":',
        "null",
        "-1",
        "1e999",
        '"valid":false',
        '"version":3',
        '"storeDir":"/nix/store"',
        '"ca":{"hash":"sha1-rZ77I0UrPUIdufbwWvEJqLczeRY=","method":"git"}',
        '"signatures":[{"keyName":"a","sig":""}]',
        `"/nix/store/${HASH_PART}-x"`,
        '"__proto__":',
        ",",
      ],
      (input) => {
        const graph = parsePathGraph(input);
        const infos = graph.map((entry) => ({ ...entry, node: { kind: "symlink" as const, target: utf8("x") } }));
        const paths = graph.map(({ storePath }) => storePath).sort();
        for (const format of ["array", "object"] as const) {
          const again = parsePathGraph(JSON.stringify(pathInfosToJson(infos, format)));
          expectEqual(again.map(({ storePath }) => storePath).sort(), paths, "paths that are read again");
        }
        const normal = infos.map(normalizePathInfo).sort(byStorePath);
        for (const format of PATH_INFO_JSON_FORMATS) {
          const again = parsePathGraph(JSON.stringify(pathInfosToJson(normal, format)));
          const read = again.map((entry) => normalizePathInfo({ ...entry, node: { kind: "symlink", target: utf8("x") } }));
          expectEqual(read.sort(byStorePath), normal, `path infos that are read again in format ${format}`);
        }
      },
    ),
    text(
      "realisation",
      samples.files(/\.doi$/),
      ["{", "}", '"id":', '"outPath":', '"signatures":[', '"dependentRealisations":{', '"__proto__":', "!", "sha256:", ",", "null"],
      (input) => {
        const id = /"id":"([^"\\]+)"/.exec(input)?.[1] ?? `sha256:${"0".repeat(64)}!out`;
        for (const key of [hashModuloKey(id), derivationKey(`${HASH_PART}-x.drv`, "out")]) {
          const realisation = parseRealisation(input, key);
          const written = formatRealisation(realisation, key);
          expectEqual(formatRealisation(parseRealisation(written, key), key), written, "written again");
          expectEqual(mergeRealisations(realisation, realisation)?.outPath, realisation.outPath, "merged with itself");
        }
      },
    ),
    text(
      "store path",
      [`/nix/store/${HASH_PART}-hello-1.0.drv`, `${HASH_PART}-a`, HASH_PART].map(utf8),
      ["/", "-", ".drv", "..", "/nix/store/", "e"],
      (input) => {
        const hashPart = parseHashPart(input);
        if (input.length === 32) return;
        const path = parseStorePath(input);
        expectEqual(storePathHashPart(path), hashPart, "hash part");
        const absolute = formatStorePath(path);
        expectEqual(input.startsWith("/") ? input : `/nix/store/${input}`, absolute, "written again");
      },
    ),
    text(
      "nixbase32",
      [HASH_PART, "0".repeat(52), "1hryix9h2wg9adnmdq32a04c7kqxxh01zzzz"].map(utf8),
      ["e", "0", "z", "é"],
      (input) => {
        expectEqual(encodeNixbase32(decodeNixbase32(input)), input, "written again");
      },
    ),
    text("hash", hashes.map(utf8), ["sha512-", "sha1:", "=", "==", "+", "/", ":", "-", " ", "\n"], (input) => {
      const hash = parseHash(input);
      for (const format of [formatSri, formatNix32, formatHex]) {
        const again = parseHash(format(hash));
        if (again.algorithm !== hash.algorithm || !equalBytes(again.digest, hash.digest))
          throw new Broken(`${format(hash)} is another hash`);
      }
    }),
    text(
      "content address",
      hashes.flatMap((hash) => [`fixed:r:${hash}`, `fixed:${hash}`, `fixed:git:${hash}`, `text:${hash}`]).map(utf8),
      ["fixed:", "r:", "git:", "text:", "blake3:", ":"],
      (input) => {
        const written = formatContentAddress(parseContentAddress(input));
        expectEqual(formatContentAddress(parseContentAddress(written)), written, "written again");
      },
    ),
    text(
      "signature",
      narInfos.flatMap((bytes) => /Sig: (.*)/.exec(decodeUtf8(bytes))?.[1] ?? []).map(utf8),
      [":", "=", "é", " ", "\n"],
      (input) => {
        const written = formatSignature(parseSignature(input));
        expectEqual(formatSignature(parseSignature(written)), written, "written again");
        if (readSignature(input) === undefined) throw new Broken("a signature that one reader takes, and another leaves out");
      },
    ),
    text("public key", [utf8(KEY)], [":", "=", "é", " ", "\n"], (input) => {
      for (const key of parsePublicKeys(input)) parsePublicKey(formatPublicKey(key));
      expectEqual(formatPublicKey(parsePublicKey(input)), input, "written again");
    }),
    text("secret key", [utf8(`fuzz-1:${Buffer.alloc(64, 7).toString("base64")}`)], [":", "=", " "], (input) => {
      expectEqual(formatSecretKey(parseSecretKey(input)), input.trim(), "written again");
    }),
    {
      name: "entry path",
      samples: ["share/doc/README", "a", "x/../y", "bin/"].map(utf8),
      words: ["/", "..", ".", "\0", "a".repeat(256)],
      run(input) {
        const names = parseEntryPath(input);
        expectEqual(
          Buffer.concat(names.flatMap((name, i) => (i === 0 ? [name] : [utf8("/"), name]))),
          Buffer.from(input),
          "joined again",
        );
      },
    },
  ];
}

/** Checks that a derivation is the same after it was written as JSON and read again. */
async function sameJson(derivation: Derivation): Promise<void> {
  const json = formatDerivationJson(derivation, { version: 4 });
  const again = await derivationFromJson(json);
  expectEqual(formatDerivationJson(again, { version: 4 }), json, "JSON that was read and written again");
}

/** Splits the output of `nix derivation show` into one text for each derivation. */
function shownDerivations(bytes: Uint8Array): Uint8Array[] {
  const { derivations, ...rest } = JSON.parse(decodeUtf8(bytes)) as { derivations?: object };
  const one = ([path, shown]: [string, unknown]) => (derivations ? { derivations: { [path]: shown }, ...rest } : { [path]: shown });
  return Object.entries(derivations ?? rest).map((entry) => utf8(JSON.stringify(one(entry))));
}

function byStorePath(a: PathInfo, b: PathInfo): number {
  return a.storePath < b.storePath ? -1 : 1;
}

/**
 * Creates a target for a parser of text. Refuses inputs that are not UTF-8: they never reach the
 * parser.
 */
function text(
  name: string,
  samples: readonly Uint8Array[],
  words: readonly string[],
  run: (input: string) => void | Promise<void>,
): Target {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return {
    name,
    samples,
    words,
    run(input) {
      let decoded: string;
      try {
        decoded = decoder.decode(input);
      } catch (cause) {
        throw new StoreError("invalid", "not UTF-8", { cause });
      }
      return run(decoded);
    },
  };
}
