import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { formatRoute, joinPath, parseRoute, splitPath } from "../../src/elements/route.ts";

const STORE_PATH = "/nix/store/5d5i1pdv9aii7g0y14fbpbn0xkqvrnx3-hello-1.0";

describe("route", () => {
  it("is read back from its formatted text, whatever bytes the names have", () => {
    const every = Uint8Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f);
    for (const names of [[], [utf8("share"), utf8("doc")], [utf8("50% +?#&=")], [utf8("日本語")], [every], [utf8("%2F")]]) {
      const hash = formatRoute({ storePath: STORE_PATH, path: joinPath(names) });
      // A browser leaves these characters of a fragment unchanged.
      expect(hash).toMatch(/^#[A-Za-z0-9._~+=@,%/-]*$/);
      const route = parseRoute(hash);
      expect(route.storePath).toBe(STORE_PATH);
      expect(splitPath(route.path)).toEqual(names);
    }
  });

  it("reads names that were typed without escapes", () => {
    expect(parseRoute(`#${STORE_PATH}/日本語/a b`).path).toEqual(utf8("日本語/a b"));
    expect(parseRoute(`#${STORE_PATH}/100%`).path).toEqual(utf8("100%"));
  });

  it("treats anything else as the list of store paths", () => {
    for (const hash of ["", "#", "#/", "#/nix/store/", "#/nix/store/short-name", "#/etc/passwd", `#${STORE_PATH}%FF`]) {
      expect(parseRoute(hash)).toEqual({ path: new Uint8Array(0) });
    }
  });
});
