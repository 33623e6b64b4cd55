import { describe, expect, test } from "vitest";
import { EMPTY_BYTES, toBase64Url, utf8 } from "../../src/bytes.ts";
import { EMPTY_DIGEST } from "../../src/castore/digest.ts";
import { encodeNode } from "../../src/castore/directory-codec.ts";
import type { Node } from "../../src/castore/node.ts";
import { nodeOfNarUrl } from "../../src/store/castore-url.ts";
import { narUrl } from "../../src/store/nar-info.ts";

const LINK: Node = { kind: "symlink", target: utf8("t") };
const url = narUrl(LINK, 120);

describe("the node in a NAR's URL", () => {
  test.each<[string, Node]>([
    ["a file", { kind: "file", digest: EMPTY_DIGEST, size: 12n, executable: true }],
    ["a directory", { kind: "directory", digest: EMPTY_DIGEST, size: 0n }],
    ["a symlink", LINK],
    ["the longest symlink", { kind: "symlink", target: utf8("t".repeat(4095)) }],
  ])("is read: %s", (_, node) => {
    for (const scheme of ["tvix-castore", "snix-castore"] as const)
      expect(nodeOfNarUrl({ url: narUrl(node, 1234, scheme), narSize: 1234 })).toEqual(node);
  });

  test.each<[string, string]>([
    ["a path before it", `x${url}`],
    ["an absolute path", `/${url}`],
    ["a suffix", `${url}x`],
    ["no size", url.replace(/\?.*/, "")],
    ["another size", narUrl(LINK, 121)],
    ["no node", url.replace(/\/[^/]*\?/, "/?")],
    ["another scheme", url.replace("tvix", "nix")],
    ["padding", url.replace("?", "=?")],
    ["bytes that are no node", `nar/tvix-castore/${toBase64Url(utf8("no node"))}?narsize=120`],
    ["a node with a name", `nar/tvix-castore/${toBase64Url(encodeNode(utf8("name"), LINK))}?narsize=120`],
    [
      "a node with a bad target",
      `nar/tvix-castore/${toBase64Url(encodeNode(EMPTY_BYTES, { ...LINK, target: EMPTY_BYTES }))}?narsize=120`,
    ],
  ])("is ignored in a URL with %s", (_, text) => {
    expect(nodeOfNarUrl({ url: text, narSize: 120 })).toBeUndefined();
  });
});
