// @ts-check
/**
 * Makes v1-early.json and v1-late.json: all records of databases of version 1, as the code of that
 * time wrote them. The script takes this code from the repository's history, bundles it and runs it
 * in Chromium. It imports `V1_TREES`, and deletes the last of them. Then it reads the records
 * without that code. For long values, which are parts of `V1_LONG`, it keeps only offset and
 * length.
 *
 * Run it with `node test/worker/make-v1-fixtures.mjs`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fixtureOf } from "./fixture-browser.mjs";

/** The last commit before blobs had outboards, and the last one before packs. */
const VERSIONS = { "v1-early": "84a5d24", "v1-late": "1c608f5" };

for (const [name, commit] of Object.entries(VERSIONS)) {
  const records = await fixtureOf(commit, "v1-fixture-page.mjs");
  writeFileSync(join(import.meta.dirname, `${name}.json`), `${JSON.stringify({ commit, records }, undefined, 1)}\n`);
}
