// @ts-check
/**
 * Makes v2-opfs.json and v2-indexeddb.json: stores of version 2 of the database, with packs in each
 * storage, as the code of that time wrote them. The script takes this code from the repository's
 * history, bundles it and runs it in Chromium. It imports `V1_TREES`, deletes the last of them, and
 * pins a blob. Then it reads the records without that code. It keeps a pack as the list of its
 * objects. For long objects, which are parts of `V1_LONG`, it keeps only offset and length.
 *
 * Run it with `node test/worker/make-v2-fixtures.mjs`.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fixtureOf } from "./fixture-browser.mjs";

/** The last commit before packs had headers. */
const COMMIT = "6c187bf";

for (const storage of ["opfs", "indexeddb"]) {
  const fixture = await fixtureOf(COMMIT, "v2-fixture-page.mjs", storage);
  const text = JSON.stringify({ commit: COMMIT, ...fixture }, undefined, 1);
  writeFileSync(join(import.meta.dirname, `v2-${storage}.json`), `${text}\n`);
}
