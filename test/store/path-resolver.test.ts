import { beforeEach, describe, expect, test } from "vitest";
import { createMemoryStore } from "../../src/backends/memory.ts";
import { decodeUtf8, utf8 } from "../../src/bytes.ts";
import type { PathInfo } from "../../src/store/path-info.ts";
import { PathResolver } from "../../src/store/path-resolver.ts";
import { importFiles } from "./fixtures.ts";

const services = createMemoryStore();
const imported = (name: string): Promise<PathInfo> => importFiles(services, name, { "bin/run": utf8(name) });
const path = (await imported("first")).storePath;

let asked: string[];
/** Delays the next answers until it resolves. */
let held: Promise<void>;
let resolver: PathResolver;
beforeEach(() => {
  asked = [];
  held = Promise.resolve();
  const { pathInfos } = services;
  const get: typeof pathInfos.get = async (hashPart) => {
    asked.push(hashPart);
    const info = await pathInfos.get(hashPart);
    await held;
    return info;
  };
  resolver = new PathResolver({
    ...services,
    pathInfos: { get, put: pathInfos.put.bind(pathInfos), list: pathInfos.list.bind(pathInfos) },
  });
});

describe("a PathResolver", () => {
  test("reads a PathInfo once, in whatever form the path is given", async () => {
    const base = path.slice("/nix/store/".length);
    expect(await resolver.resolve(path, "bin/run")).toMatchObject({ kind: "file", size: 5n });
    expect(await resolver.resolve(base, "bin")).toMatchObject({ kind: "directory" });
    expect((await resolver.list(base.slice(0, 32), ""))?.map(({ name }) => decodeUtf8(name))).toEqual(["bin"]);
    expect(await resolver.resolve(path, utf8("none"))).toBeUndefined();
    expect(asked).toHaveLength(1);
  });

  test("does not remember a missing path", async () => {
    const absent = "0".repeat(32);
    await expect(resolver.resolve(absent, "")).rejects.toMatchObject({ code: "not-found" });
    await expect(resolver.list(absent, "")).rejects.toMatchObject({ code: "not-found" });
    expect(asked).toEqual([absent, absent]);
  });

  test("reads again after a failure", async () => {
    held = Promise.reject(new Error("no answer"));
    await expect(resolver.resolve(path, "")).rejects.toThrow("no answer");
    held = Promise.resolve();
    expect(await resolver.resolve(path, "")).toBeDefined();
  });

  test("forgets everything at `clear`, including answers that are still on their way", async () => {
    let answer = (): void => {};
    held = new Promise((resolve) => {
      answer = resolve;
    });
    const resolving = resolver.resolve(path, "");
    resolver.clear();
    answer();
    await resolving;
    await resolver.resolve(path, "");
    resolver.clear();
    await resolver.resolve(path, "");
    expect(asked).toHaveLength(3);
  });

  test("keeps a newer answer if a request from before `clear` fails", async () => {
    let fail = (_: Error): void => {};
    held = new Promise((_, reject) => {
      fail = reject;
    });
    const older = resolver.resolve(path, "");
    await new Promise((resolve) => setImmediate(resolve));
    resolver.clear();
    held = Promise.resolve();
    await resolver.resolve(path, "");
    fail(new Error("no answer"));
    await expect(older).rejects.toThrow("no answer");
    await resolver.resolve(path, "");
    expect(asked).toHaveLength(2);
  });

  test("keeps the most recently requested paths", async () => {
    const paths = await Promise.all(Array.from({ length: 70 }, (_, i) => imported(`path-${i}`)));
    for (const { storePath } of paths) {
      await resolver.resolve(storePath, "");
      await resolver.resolve(path, "");
    }
    expect(asked).toHaveLength(71);
    await resolver.resolve(paths[69]?.storePath ?? "", "");
    expect(asked).toHaveLength(71);
    await resolver.resolve(paths[0]?.storePath ?? "", "");
    expect(asked).toHaveLength(72);
  });
});
