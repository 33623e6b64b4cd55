import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";

const packageJson: { exports: Record<string, string> } = JSON.parse(
  await readFile(new URL("../../package.json", import.meta.url), "utf8"),
);

/** Entry points that run in a worker and export nothing. */
const SCRIPTS = ["./worker", "./hash-worker", "./service-worker"];

/**
 * Names that an entry point exports. The function reads its source text, because some entry points
 * load in browsers only.
 */
async function exportedNames(entry: string): Promise<string[]> {
  const source = await readFile(
    new URL(`../../${entry.replace("./dist/", "src/").replace(/\.js$/, ".ts")}`, import.meta.url),
    "utf8",
  );
  const lists = [...source.matchAll(/export (?:type )?\{([^}]*)\}/g)].flatMap(([, list]) => (list ?? "").split(","));
  const own = [...source.matchAll(/^export (?:async )?(?:function|class|const) (\w+)/gm)].map(([, name]) => name ?? "");
  return [...own, ...lists.flatMap((name) => /(\w+)\s*$/.exec(name)?.[1] ?? [])].sort();
}

describe("public names", () => {
  const entries = Object.entries(packageJson.exports).filter(([name]) => !SCRIPTS.includes(name) && name !== "./package.json");

  test.each(entries)("of %s", async (_, file) => {
    expect(await exportedNames(file)).toMatchSnapshot();
  });

  test("every entry point is built", async () => {
    for (const file of Object.values(packageJson.exports)) {
      await expect(readFile(new URL(`../../${file}`, import.meta.url), "utf8")).resolves.not.toBe("");
    }
  });
});
