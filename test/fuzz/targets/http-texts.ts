import { decodeUtf8, EMPTY_BYTES, fromBase64Url, toBase64Url, utf8 } from "../../../src/bytes.ts";
import { digestOf } from "../../../src/castore/digest.ts";
import { decodeNode, encodeNode } from "../../../src/castore/directory-codec.ts";
import { InlineHashEngine } from "../../../src/hash/inline-engine.ts";
import { pathSegments } from "../../../src/node/binary-cache/address.ts";
import { parseByteRange } from "../../../src/node/binary-cache/byte-range.ts";
import { matchingTag } from "../../../src/node/binary-cache/conditional.ts";
import { checkDebugInfo } from "../../../src/node/binary-cache/debug-info.ts";
import { chooseCoding } from "../../../src/node/binary-cache/negotiate.ts";
import { BinaryCache } from "../../../src/store/binary-cache.ts";
import { Broken, expectEqual, type Target } from "../target.ts";

const HASH_PART = "1hryix9h2wg9adnmdq32a04c7kqxxh01";
const CACHE = "https://cache.example.org/a/b/";
const NODE = encodeNode(EMPTY_BYTES, { kind: "directory", digest: digestOf(utf8("x")), size: 3n });

const engine = new InlineHashEngine();

/** Returns targets for headers and URLs that come from a client or from a binary cache. */
export function httpTexts(): Target[] {
  return [
    {
      name: "Range header",
      takesAll: true,
      samples: ["bytes=0-99", "bytes=100-", "bytes=-5", "bytes=0-0,5-9"].map(utf8),
      words: ["-", ",", "bytes=", " ", "0"],
      run(input, random) {
        const size = random.pick([0, 1, 100, Number.MAX_SAFE_INTEGER]);
        const range = parseByteRange(decodeUtf8(input), size);
        if (range === undefined || range === "unsatisfiable") return;
        const { offset, length } = range;
        if (!(offset >= 0 && length > 0 && offset + length <= size)) throw new Broken(`${offset}, ${length} of ${size} bytes`);
      },
    },
    {
      name: "Accept-Encoding",
      takesAll: true,
      samples: ["gzip, deflate, br, zstd", "gzip;q=0.5, identity;q=0, *;q=0", "", "zstd;q=1.0"].map(utf8),
      words: [",", ";q=", "*", "identity", "0", "1e9", "NaN"],
      run(input, random) {
        const header = decodeUtf8(input);
        const coding = chooseCoding(header, random.chance(0.5));
        if (coding !== "identity" && !header.toLowerCase().includes(coding) && !header.includes("*"))
          throw new Broken(`${coding} was not requested`);
      },
    },
    {
      name: "If-None-Match",
      takesAll: true,
      samples: ['"abc"', 'W/"abc", "x,y"', "*", ""].map(utf8),
      words: [",", "W/", '"', "*", '"abc"', " "],
      run(input) {
        const header = decodeUtf8(input);
        const found = matchingTag(header, ['"abc"', 'W/"abc-zstd"']);
        if (found !== undefined && header.trim() !== "*" && !header.includes(found.replace("W/", "")))
          throw new Broken("the header doesn't name the tag");
      },
    },
    {
      name: "path of a request",
      takesAll: true,
      samples: ["/nix-cache-info", "/log/a%2Bb.drv?x", "/nar/a%2Fb", "/"].map(utf8),
      words: ["%", "%2", "%2f", "%ff", "/", "//", "?", "#", "é"],
      run(input) {
        const text = decodeUtf8(input);
        const segments = pathSegments(text);
        if (!segments) return;
        const again = pathSegments(`/${segments.map(encodeURIComponent).join("/")}`);
        expectEqual(again, segments, "encoded again");
      },
    },
    {
      name: "debug information",
      samples: [JSON.stringify({ archive: `../nar/${"0".repeat(52)}.nar.xz`, member: "lib/debug/x.debug" })].map(utf8),
      words: ["{", "}", '"archive":', '"member":', "../", "null", '""'],
      run(input) {
        checkDebugInfo(decodeUtf8(input));
      },
    },
    {
      name: "node of a NAR URL",
      samples: [utf8(toBase64Url(NODE))],
      words: ["=", "-", "_", "+", "/"],
      run(input) {
        const text = decodeUtf8(input);
        const bytes = fromBase64Url(text);
        expectEqual(toBase64Url(bytes), text, "written again");
        decodeNode(bytes);
      },
    },
    {
      name: "URL of a NARInfo",
      samples: ["nar/x.nar.xz", "nar/tvix-castore/CiA?narsize=112", "x.nar#y"].map(utf8),
      words: ["../", "..", "/", "//", "\\", "http://other.example/", "%2e%2e/", "%2f", ":", "?", "#", "\t", "@", "é", "．．/"],
      async run(input) {
        const asked: string[] = [];
        const fetch = async (url: string | URL | Request): Promise<Response> => {
          asked.push(url instanceof Request ? url.url : String(url));
          return new Response(asked.length === 1 ? narInfoWith(decodeUtf8(input)) : "");
        };
        const cache = new BinaryCache(CACHE, { fetch });
        const found = await cache.narInfo(HASH_PART);
        if (!found) throw new Broken("the NARInfo was not found");
        for await (const _ of cache.nar(found.info, engine)) throw new Broken("the NAR should be empty");
        const [, nar = ""] = asked;
        const { href, pathname } = new URL(nar);
        if (!href.startsWith(CACHE) || /(^|\/)\.\.?(\/|$)/.test(decodeURIComponentLoosely(pathname)))
          throw new Broken(`the URL leads to ${nar}`);
      },
    },
  ];
}

function narInfoWith(url: string): string {
  return [
    `StorePath: /nix/store/${HASH_PART}-x`,
    `URL: ${url}`,
    "Compression: none",
    `NarHash: sha256:${"0".repeat(52)}`,
    "NarSize: 112",
    "",
  ].join("\n");
}

function decodeURIComponentLoosely(text: string): string {
  return text.replace(/%2e/gi, ".").replace(/%2f/gi, "/");
}
