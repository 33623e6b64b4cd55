import { describe, expect, it } from "vitest";
import { utf8 } from "../../src/bytes.ts";
import { listNar, narListingToJson } from "../../src/nix/nar-listing.ts";
import { pieces } from "../setup/pieces.ts";
import { fixture, fixtureText } from "./fixture.ts";

const invalid = expect.objectContaining({ code: "invalid" });

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes);
      controller.close();
    },
  });
}

describe("NAR listing", () => {
  it("equals the listing that Nix puts into a binary cache", async () => {
    const nar = fixture("ls/plain.nar");
    for (const source of [pieces(nar, 1), pieces(nar, 100), streamOf(nar)]) {
      expect(narListingToJson(await listNar(source))).toBe(fixtureText("ls/plain.ls"));
    }
  });

  it("keeps names that are not UTF-8, although JSON can't", async () => {
    const listing = await listNar(streamOf(fixture("tree.nar")));
    if (listing.root.type !== "directory") expect.fail("the root is not a directory");
    expect(listing.root.entries.at(-1)?.name).toEqual(Uint8Array.of(0xff, 0xfe));
    expect(() => narListingToJson(listing)).toThrow(invalid);
  });

  it("lists a root that is not a directory", async () => {
    const symlink = await listNar(streamOf(fixture("symlink.nar")));
    expect(symlink.root).toEqual({ type: "symlink", target: utf8("/nowhere") });
    const file = await listNar(streamOf(fixture("executable.nar")));
    expect(file.root).toEqual({ type: "regular", size: 21, executable: true, narOffset: 128 });
  });

  it("keeps entries with the names of object properties", async () => {
    const name = utf8("__proto__");
    const root = { type: "directory" as const, entries: [{ name, node: { type: "symlink" as const, target: utf8("a") } }] };
    expect(narListingToJson({ root })).toBe(
      '{"version":1,"root":{"type":"directory","entries":{"__proto__":{"type":"symlink","target":"a"}}}}',
    );
  });

  it("limits entries, text and depth, and refuses bytes that are no NAR", async () => {
    const nar = fixture("ls/plain.nar");
    await listNar(streamOf(nar), { maxEntries: 15, maxTextBytes: 1000, maxDepth: 3 });
    await expect(listNar(streamOf(nar), { maxEntries: 14 })).rejects.toThrow(invalid);
    await expect(listNar(streamOf(nar), { maxTextBytes: 50 })).rejects.toThrow(invalid);
    await expect(listNar(streamOf(nar), { maxDepth: 2 })).rejects.toThrow(invalid);
    await expect(listNar(streamOf(nar.subarray(8)))).rejects.toThrow(invalid);
    await expect(listNar(streamOf(nar.subarray(0, -8)))).rejects.toThrow(invalid);
  });

  it("cancels the stream when it stops early", async () => {
    let cancelled = 0;
    const stream = new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(utf8("this is not an archive")),
      cancel: () => {
        cancelled++;
      },
    });
    await expect(listNar(stream)).rejects.toThrow(invalid);
    expect(cancelled).toBe(1);
  });

  it("rejects with the reason of an abort, even while the stream hangs", async () => {
    const reason = new Error("enough");
    let cancelled = 0;
    const hanging = () =>
      new ReadableStream<Uint8Array>({
        cancel: () => {
          cancelled++;
        },
      });
    await expect(listNar(hanging(), { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const listing = listNar(hanging(), { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 5);
    await expect(listing).rejects.toBe(reason);
    expect(cancelled).toBe(2);
  });

  it("rejects with the error of the stream", async () => {
    const reason = new Error("broken pipe");
    const stream = new ReadableStream<Uint8Array>({ start: (controller) => controller.error(reason) });
    await expect(listNar(stream)).rejects.toBe(reason);
  });
});
